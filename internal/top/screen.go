// SPDX-License-Identifier: MIT

package top

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"picket/internal/config"
	"picket/internal/event"
	"picket/internal/show"
)

// draw fills the terminal.
func (v *View) draw(out io.Writer, size func() (width, height int)) error {
	width, height := size()
	// Two lines of counters; for each table a blank one and its head.
	rows := max(2, height-2-4)
	blocks := min(len(v.blocks), max(rows/3, rows-len(v.sources)))
	w := bufio.NewWriter(out)
	fmt.Fprint(w, "\x1b[H")
	lines := v.lines(rows-blocks, blocks)
	for i, line := range lines[:min(len(lines), height)] {
		if i > 0 {
			fmt.Fprint(w, "\r\n")
		}
		line = show.Cut(line, width)
		if v.isHead(line) {
			line = "\x1b[1m" + line + "\x1b[0m"
		}
		fmt.Fprint(w, line, "\x1b[K")
	}
	fmt.Fprint(w, "\x1b[J")
	return w.Flush()
}

func (v *View) isHead(line string) bool {
	return strings.HasPrefix(line, "SOURCE ") || strings.HasPrefix(line, "BLOCKED ") || strings.HasPrefix(line, "picket ")
}

// lines are the counters, and the tables with at most so many rows.
func (v *View) lines(sources, blocks int) []string {
	var b strings.Builder
	v.counters(&b)
	v.sourceTable(&b, sources)
	v.blockTable(&b, blocks)
	return strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
}

func (v *View) counters(out io.Writer) {
	s := &v.status
	state := "blocking"
	if s.DryRun {
		state = "dry run, blocks nobody"
		if t := s.Trial; t != nil {
			state = fmt.Sprintf("trial: would have answered %s and kept off %s", show.Plural(t.Sources, "source"), t.Share())
		}
	}
	if s.Flooding {
		state += ", in a flood of new sources"
	}
	if v.trouble != nil {
		state = v.trouble.Error()
	}
	fmt.Fprintf(out, "picket %s, up %s, %s   %s\n", s.Version, time.Duration(s.Uptime)*time.Second, state, v.at.Local().Format(time.TimeOnly))
	fmt.Fprintf(out, "probes %d", s.Probes)
	if v.before != nil {
		fmt.Fprintf(out, " (%s/s)", cmp.Or(rate(perSecond(s.Probes-min(s.Probes, v.before.status.Probes), v.at.Sub(v.before.at))), "0"))
	}
	fmt.Fprintf(out, ", lost %d   sources %d   blocks %d", s.Lost, s.Sources, s.Blocks)
	if s.Reaction.Count > 0 {
		fmt.Fprintf(out, "   reaction %s, 99 %% in %s", micro(s.Reaction.P50), micro(s.Reaction.P99))
	}
	fmt.Fprintln(out)
}

func (v *View) sourceTable(out io.Writer, rows int) {
	list := v.busiest()
	if len(list) == 0 {
		fmt.Fprintln(out, "\nnobody has probed yet")
		return
	}
	t := show.Table{Head: []string{"SOURCE", "PROBES", "/S", "PORTS", "HOSTS", "PATTERN", "TOOL", "PROVEN", "STATE", "LAST", "FROM"}}
	for i := range list[:min(rows, len(list))] {
		s := &list[i]
		state := map[bool]string{true: "blocked"}[s.Blocked]
		if state == "" && s.Offences > 0 {
			state = "offender" // blocked once, or only logged
		}
		t.Add(s.Name, fmt.Sprint(s.Probes), rate(v.rate(s)), fmt.Sprint(s.Ports), fmt.Sprint(s.Targets), s.Pattern, s.Tool,
			map[bool]string{true: "yes"}[s.Proven], state, show.Ago(v.at.Sub(s.Last)), show.Origin(s.Country, s.ASN, s.Network))
	}
	fmt.Fprintln(out)
	t.Print(out)
}

func (v *View) blockTable(out io.Writer, rows int) {
	list := v.latest()
	if len(list) == 0 {
		fmt.Fprintln(out, "\nnobody is blocked")
		return
	}
	t := show.Table{Head: []string{"BLOCKED", "LEFT", "RESPONSE", "DROPS", "/S", "PATTERN", "TECHNIQUE", "WHY"}}
	for i := range list[:min(rows, len(list))] {
		b := &list[i]
		t.Add(b.Name, config.Duration(max(time.Second, b.Expires.Sub(v.at).Round(time.Second))).String(), b.Response, fmt.Sprint(b.Drops), rate(v.dropRate(b)),
			b.Pattern, b.Technique, event.Why(b.Reason, b.Evidence, b.Known))
	}
	fmt.Fprintln(out)
	t.Print(out)
}

func micro(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// rate writes a number of events a second, nothing for none.
func rate(n float64) string {
	switch {
	case n == 0:
		return ""
	case n < 10:
		return fmt.Sprintf("%.1f", n)
	}
	return fmt.Sprintf("%.0f", n)
}
