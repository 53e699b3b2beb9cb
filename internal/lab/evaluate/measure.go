// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A result is what was measured of one tool.
type result struct {
	tool     string
	scans    map[string]*finding // by scan name and family, "nmap -sS/4"
	accused  map[string]bool     // scenes whose innocents the tool called scanners
	blocked  map[string]bool     // scenes whose innocents it blocked or fenced, or would have
	darkened map[string]bool     // scenes with an innocent that it left in the dark
	forged   []string            // protected hosts that were blocked for forged packets: "gateway IPv4", ...
	decoys   int                 // of nmap -D that were blocked
	fenced   [2]int              // the same two figures for fences only
	words    []string            // its messages about innocents, for the reader
	flood    *flood              // of picket only
	runs     []*scanRun
	capture  string // the live capture
	lifeEnds time.Time
}

// A finding is the result of a tool for a scan.
type finding struct {
	run           *scanRun
	told, blocked bool // blocked: any response, a dark included
	right         bool
	after, blocks int // packets of the scan up to then
	words         []string
}

// measure runs one tool through everything.
func measure(ctx context.Context, t tool, dir, root string, p *progress, res *result) error {
	say := func(format string, args ...any) { p.say(res.tool+": "+format, args...) }
	res.capture = filepath.Join(dir, res.tool+".pcap")
	s, err := newSite(res.capture)
	if err != nil {
		return err
	}
	defer s.close()
	if err := t.start(s); err != nil {
		return err
	}
	say("ordinary life")
	if err := playLife(ctx, s, root, res.tool == "picket"); err != nil {
		return err
	}
	pause(ctx, t.settle())
	res.lifeEnds = time.Now()
	say("probes forged in the name of gateway, resolver and a connected peer")
	if err := forge(ctx, s); err != nil {
		return err
	}
	pause(ctx, t.settle())
	say("%d scans", len(scans()))
	if res.runs, err = runScans(ctx, s, t.rest(), say); err != nil {
		return err
	}
	pause(ctx, t.settle())
	if pk, ok := t.(*picketTool); ok {
		say("a flood of forged sources, and a scanner in it")
		if res.flood, err = floodLive(ctx, s, pk); err != nil {
			return err
		}
	}
	if err := s.stopCapture(); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, res.tool+".log"), []byte(t.words()), 0o644); err != nil {
		return err
	}
	all, err := t.sightings()
	if err != nil {
		return err
	}
	if err := res.judge(t, all); err != nil {
		return err
	}
	say("done")
	return nil
}

// pause waits, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// judge compares the sightings with the capture and fills in the findings.
func (res *result) judge(t tool, all []sighting) error {
	res.scans, res.accused, res.blocked, res.darkened = map[string]*finding{}, map[string]bool{},
		map[string]bool{}, map[string]bool{}
	names := scenes()
	for _, x := range all {
		n, _, ok := innocentOf(x.source.Addr())
		if !ok || n == resolver || n == peer {
			continue
		}
		if i := (n - 1) / perScene; i < len(names) {
			res.accused[names[i].name] = true
			if x.blocked {
				res.blocked[names[i].name] = true
			}
			if x.dark {
				res.darkened[names[i].name] = true
			}
			if len(res.words) < 200 {
				res.words = append(res.words, names[i].name+": "+x.words)
			}
		}
	}
	for who, a := range protected() {
		switch {
		case slices.ContainsFunc(all, func(x sighting) bool {
			return x.blocked && !x.fenced && x.source.Contains(a)
		}):
			res.forged = append(res.forged, who)
		case slices.ContainsFunc(all, func(x sighting) bool { return x.fenced && x.source.Contains(a) }):
			res.fenced[0]++
		}
	}
	slices.Sort(res.forged)
	for _, d := range decoyList() {
		a := netip.MustParseAddr(d)
		switch {
		case slices.ContainsFunc(all, func(x sighting) bool {
			return x.blocked && !x.fenced && x.source.Contains(a)
		}):
			res.decoys++
		case slices.ContainsFunc(all, func(x sighting) bool { return x.fenced && x.source.Contains(a) }):
			res.fenced[1]++
		}
	}
	arrivals, err := arrivalsOf(res.capture)
	if err != nil {
		return err
	}
	if err := played(arrivals); err != nil {
		return err
	}
	pk, _ := t.(*picketTool)
	for _, r := range res.runs {
		f := &finding{run: r}
		res.scans[r.name+"/"+r.family] = f
		for _, x := range all {
			if !slices.ContainsFunc(r.sources, x.source.Contains) {
				continue
			}
			if x.network { // of earlier scanners: its packets are dark from the first one on
				if !f.blocked {
					f.blocked, f.blocks = true, max(1, countUntil(arrivals, r.sources, x.at))
				}
				continue
			}
			f.words = append(f.words, x.words)
			if !f.told {
				f.told, f.after = true, countUntil(arrivals, r.sources, x.at)
			}
			if (x.blocked || x.dark) && !f.blocked {
				f.blocked, f.blocks = true, countUntil(arrivals, r.sources, x.at)
			}
		}
		f.right = f.told && t.label(&r.scan, f.words)
		if pk != nil && r.event != "" {
			pk.manySources(f, arrivals)
		}
	}
	return nil
}

// played returns an error for a scene without packets: it would prove nothing.
func played(arrivals map[netip.Addr][]time.Time) error {
	came := map[int]bool{}
	for src := range arrivals {
		if n, _, ok := innocentOf(src); ok {
			came[(n-1)/perScene] = true
		}
	}
	for i, sc := range scenes() {
		if !came[i] {
			return fmt.Errorf("%s: %w", sc.name, errNobodyCame)
		}
	}
	return nil
}

var errNobodyCame = errors.New("nobody came by")

// manySources looks for the event of a pattern that more than one source makes.
func (p *picketTool) manySources(f *finding, arrivals map[netip.Addr][]time.Time) {
	for _, kind := range []string{"pattern", "block"} {
		for _, ev := range p.events(kind) {
			if ev["pattern"] != f.run.event {
				continue
			}
			src, err := sourceOf(ev["source"])
			known := err == nil && (slices.ContainsFunc(f.run.sources, src.Contains) ||
				slices.Contains(decoyList(), src.Addr().String()))
			sameFamily := err == nil && src.Addr().Is4() == (f.run.family == "4")
			if err == nil && (!known || !sameFamily) {
				continue
			}
			f.right = f.right || ev["technique"] == "" || ev["technique"] == f.run.technique
			f.words = append(f.words, strings.TrimSpace(ev["pattern"]+" "+ev["technique"]+" "+ev["tool"]))
			if last, err := time.Parse(time.RFC3339Nano, ev["last"]); err == nil {
				f.told, f.after = true, countUntil(arrivals, f.run.sources, last)
			} else {
				f.told = true
			}
			return
		}
	}
	f.right = false
}

// countUntil counts the packets of sources up to a time.
func countUntil(arrivals map[netip.Addr][]time.Time, sources []netip.Addr, at time.Time) (n int) {
	at = at.Add(time.Microsecond) // captures have no finer time
	for _, s := range sources {
		times := arrivals[s]
		i, _ := slices.BinarySearchFunc(times, at, time.Time.Compare)
		n += i
	}
	return n
}

// protected are the addresses in whose name probes are forged.
func protected() map[string]netip.Addr {
	return map[string]netip.Addr{
		"gateway IPv4": netip.MustParseAddr("192.0.2.1"), "gateway IPv6": netip.MustParseAddr("2001:db8::1"),
		"resolver IPv4": innocent4(resolver), "resolver IPv6": innocent6(resolver),
		"connected peer IPv4": innocent4(peer), "connected peer IPv6": innocent6(peer),
	}
}

// forge scans the server in the name of each of them, while the peer has a connection to it.
func forge(ctx context.Context, s *site) error {
	var conns []net.Conn
	for _, f := range [][2]netip.Addr{{innocent4(peer), s.Target.V4}, {innocent6(peer), s.Target.V6}} {
		c, err := s.Attacker.Dial("tcp", f[0], netip.AddrPortFrom(f[1], 22), 3*time.Second)
		if err != nil {
			return err
		}
		defer c.Close()
		conns = append(conns, c)
	}
	stop := make(chan struct{})
	defer close(stop)
	go func() { // keystrokes now and then
		for {
			select {
			case <-stop:
				return
			case <-time.After(500 * time.Millisecond):
				for _, c := range conns {
					c.Write([]byte("ls\n"))
				}
			}
		}
	}()
	// The peer is first: its connection is the newest.
	names := slices.Sorted(maps.Keys(protected()))
	for _, who := range names {
		src := protected()[who]
		a := aim{src: src, dst: s.Target.V4}
		if src.Is6() {
			a.dst = s.Target.V6
		}
		for _, how := range []string{"-sS", "-sF", "-sU"} {
			if err := s.scan(ctx, nmapAt("--min-rate", "200", "--max-retries", "0", "-p", "1-40",
				how)(a)); err != nil {
				return fmt.Errorf("forge %s: %w", who, err)
			}
		}
	}
	return nil
}

// A flood is the result of a flood of forged sources.
type flood struct {
	packets int
	blocks  int  // fenced or blocked during the flood, without the scanner
	dark    int  // and sources in the dark
	named   bool // as a flood
	found   bool // the scanner in the flood
}

// count counts a source with a response; it may be the scanner.
func (f *flood) count(hidden bool, action string) {
	switch {
	case hidden:
		f.found = true
	case action == "dark":
		f.dark++
	default:
		f.blocks++
	}
}

// floodPackets is the size of the flood: enough to show that its blocks are bounded.
const floodPackets = 200_000

// floodLive sends SYNs from random sources, and a scan among them.
func floodLive(ctx context.Context, s *site, pk *picketTool) (*flood, error) {
	hidden := scanner4(scanners)
	before := len(pk.events("block"))
	done := make(chan error, 1)
	go func() {
		done <- s.scan(ctx, []string{"hping3", "-q", "-n", "-I", "eth0", "-S", "-p", "++1", "--rand-source",
			"-i", "u20", "-c", fmt.Sprint(floodPackets), s.Target.V4.String()})
	}()
	time.Sleep(time.Second)
	if err := s.scan(ctx, nmap("-sS")(aim{src: hidden, dst: s.Target.V4})); err != nil {
		return nil, err
	}
	if err := <-done; err != nil {
		return nil, err
	}
	time.Sleep(pk.settle())
	f := &flood{packets: floodPackets}
	for _, b := range pk.events("block")[before:] {
		src, err := sourceOf(b["source"])
		f.count(err == nil && src.Contains(hidden), b["action"])
	}
	for _, ev := range pk.events("pattern") {
		f.named = f.named || ev["pattern"] == "flood"
	}
	return f, nil
}
