// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"picket/internal/lab"
)

// A tool is a program to measure.
type tool interface {
	// start starts it on the site's server. From then on it reports what it sees.
	start(s *site) error
	// sightings returns its reports so far, oldest first.
	sightings() ([]sighting, error)
	// words returns all that it printed.
	words() string
	// settle is the longest time from a packet to its report.
	settle() time.Duration
	// rest is the pause that it needs after every few scans.
	rest() time.Duration
	// label reports whether the words of a sighting are right for a scan.
	label(sc *scan, words []string) bool
}

// A sighting is one report of a tool about a source.
type sighting struct {
	at      time.Time
	source  netip.Prefix
	blocked bool   // the tool blocks or fences the source, or would if configured to
	fenced  bool   // it fences only: flows live on, for ten minutes
	dark    bool   // it leaves the source without answers from unserved ports
	network bool   // the source is a network of several
	words   string // the report
}

// toolNamed makes a tool. The peers run from what was unpacked into root.
func toolNamed(name, picket, root string) (tool, bool) {
	switch name {
	case "picket":
		return &picketTool{binary: picket}, true
	case "portsentry":
		return &portsentry{box{root: root}}, true
	case "psad":
		return &psad{box{root: root}}, true
	case "scanlogd":
		return &scanlogd{box{root: root}}, true
	case "fail2ban":
		return &fail2ban{box{root: root}}, true
	}
	return nil, false
}

// picketTool is picket on its embedded default.
type picketTool struct {
	binary string
	daemon *lab.Daemon
	said   stamped
}

func (p *picketTool) settle() time.Duration { return 500 * time.Millisecond }

func (p *picketTool) start(s *site) (err error) {
	p.daemon, err = lab.Start(s.Target, lab.Options{
		Binary: p.binary, Stderr: &p.said,
		Resolvers: []netip.Addr{innocent4(resolver), innocent6(resolver)},
	})
	return err
}

func (p *picketTool) rest() time.Duration { return 0 }

func (p *picketTool) words() string { return p.said.String() }

// sightings are picket's pattern and block events.
func (p *picketTool) sightings() ([]sighting, error) {
	var all []sighting
	for _, l := range p.said.all() {
		f := fields(l.text)
		if f["event"] != "pattern" && f["event"] != "block" {
			continue
		}
		source, err := sourceOf(f["source"])
		if err != nil {
			continue // a pattern of many sources names none
		}
		at := l.at
		if last, err := time.Parse(time.RFC3339Nano, f["last"]); err == nil {
			at = last
		}
		network := source.Bits() < 32 || source.Addr().Is6() && source.Bits() < 64
		block, fence, dark := f["event"] == "block", f["action"] == "fence", f["action"] == "dark"
		all = append(all, sighting{at, source, block && !dark, block && fence, block && dark, network,
			strings.TrimSpace(f["pattern"] + " " + f["technique"] + " " + f["tool"])})
	}
	// A response is reported after the kernel has it, a name at once.
	slices.SortStableFunc(all, func(a, b sighting) int { return a.at.Compare(b.at) })
	return all, nil
}

// events returns the events of a kind.
func (p *picketTool) events(kind string) (all []map[string]string) {
	for _, l := range p.said.all() {
		if f := fields(l.text); f["event"] == kind {
			all = append(all, f)
		}
	}
	return all
}

func (p *picketTool) label(sc *scan, words []string) bool {
	// A source goes dark before its probes have a name. The dark may be reported later.
	words = slices.DeleteFunc(slices.Clone(words), func(w string) bool {
		return len(strings.Fields(w)) > 0 && !slices.Contains(patterns, strings.Fields(w)[0])
	})
	return len(words) > 0 && rightWords(sc, words[len(words)-1])
}

// patterns are picket's names for several probes together.
var patterns = []string{"portscan", "sweep", "slowscan", "distributed", "decoy", "flood", "backscatter"}

// rightWords reports whether picket's last words on a scan, "pattern technique tool", are
// right.
func rightWords(sc *scan, words string) bool {
	w := strings.Fields(words)
	if len(w) < 2 || w[0] != sc.pattern || w[1] != sc.technique && w[1] != sc.orElse {
		return false
	}
	return sc.tool == "" || len(w) == 3 && w[2] == sc.tool
}

// sourceOf reads an address or prefix.
func sourceOf(s string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// fields reads a line of key=value, whose values may be quoted.
func fields(line string) map[string]string {
	f := map[string]string{}
	for line != "" {
		key, rest, ok := strings.Cut(line, "=")
		if !ok {
			break
		}
		key = strings.TrimSpace(key)
		value := rest
		if quoted, err := strconv.QuotedPrefix(rest); err == nil && strings.HasPrefix(rest, `"`) {
			value, _ = strconv.Unquote(quoted)
			line = strings.TrimPrefix(rest[len(quoted):], " ")
		} else {
			value, line, _ = strings.Cut(rest, " ")
		}
		f[key] = value
	}
	return f
}

// stamped collects lines with their times.
type stamped struct {
	mu    sync.Mutex
	part  []byte
	lines []stampedLine
}

type stampedLine struct {
	at   time.Time
	text string
}

// Write implements io.Writer.
func (s *stamped) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.part = append(s.part, b...)
	for {
		i := bytes.IndexByte(s.part, '\n')
		if i < 0 {
			return len(b), nil
		}
		s.lines = append(s.lines, stampedLine{time.Now(), string(s.part[:i])})
		s.part = s.part[i+1:]
	}
}

func (s *stamped) all() []stampedLine {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lines[:len(s.lines):len(s.lines)]
}

// String returns the lines, for an error.
func (s *stamped) String() string {
	var b strings.Builder
	for _, l := range s.all() {
		fmt.Fprintln(&b, l.text)
	}
	return b.String()
}
