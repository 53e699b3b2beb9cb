// SPDX-License-Identifier: MIT

package engine

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"picket/internal/probe"
)

// weighed is the careful policy with everything weighed, and triggers that nobody reaches.
func weighed() Config {
	most := [probe.Modes]int{MaxTrigger, MaxTrigger, MaxTrigger, MaxTrigger}
	return Config{TCP: Policy{Block, most}, UDP: Policy{Block, most}, IP: Policy{Block, most}}
}

// goesDark checks that a decision keeps a source in the dark for so long.
func (w *world) goesDark(d Decision, of string, length time.Duration) {
	w.Helper()
	if d.Action != Dark || d.Source.String() != of || d.For != length || d.Proven || !d.Tell {
		w.Errorf("%v for %v of %v, %q: want the dark for %v of %s", d.Action, d.For, d.Source, d.Reason,
			length, of)
	}
}

// A single SYN that no client's system sends is enough for the dark. Its length follows the score:
// longer for a source that comes back, and renewed while it goes on.
func TestDark(t *testing.T) {
	w := newWorld(t, weighed())
	d := w.send(likeTool(probe.ZMap), port(80))
	w.goesDark(d, "198.51.100.7/32", 24*time.Hour)
	if d.Score < darkLongAt || !d.Observed.Has(probe.MadeRaw) || !strings.Contains(d.Evidence(),
		"no client's system sends") {
		t.Errorf("%d: %s", d.Score, d.Evidence())
	}
	w.spares(w.send(likeTool(probe.ZMap), port(81)), AlreadyDark)
	src := netip.MustParseAddr("198.51.100.7")
	if !w.InForce(Dark, src, w.at.UnixNano()) || w.InForce(Fence, src, w.at.UnixNano()) {
		t.Error("not in the books, or in the wrong one")
	}
	w.wait(25 * time.Hour)
	if w.InForce(Dark, src, w.at.UnixNano()) {
		t.Error("still dark")
	}
	d = w.send(likeTool(probe.ZMap), port(80))
	w.goesDark(d, "198.51.100.7/32", 7*24*time.Hour)
	if !d.Observed.Has(probe.ComesBack) {
		t.Errorf("%s", d.Evidence())
	}
	w.wait(4 * 24 * time.Hour)
	w.goesDark(w.send(likeTool(probe.ZMap), port(80)), "198.51.100.7/32", 7*24*time.Hour)
}

// A scanner that comes back with exactly the same packet is seen again. Some scanners have one source
// port, and sequence numbers made of the target.
func TestSamePacketHoursLater(t *testing.T) {
	w := newWorld(t, weighed())
	again := func() Decision { return w.send(likeTool(probe.ZMap), sport(40000), seq(7), port(80)) }
	w.goesDark(again(), "198.51.100.7/32", 24*time.Hour)
	w.wait(2 * time.Minute)
	w.spares(again(), Retransmission)
	w.wait(25 * time.Hour)
	w.goesDark(again(), "198.51.100.7/32", 7*24*time.Hour)
}

// No single probe of an ordinary system is enough for the dark, whatever the port.
func TestOneProbeIsNoScan(t *testing.T) {
	for _, tool := range []probe.Tool{probe.Linux, probe.Windows} {
		w := newWorld(t, weighed())
		for port := range 1 << 16 {
			d := w.send(likeTool(tool), func(p *probe.Probe) {
				p.Source, p.Port = addr4(uint32(port)),
					uint16(port)
			})
			if d.Action != None || d.Score >= darkAt {
				t.Fatalf("port %d: %v, %s", port, d.Action, d.Evidence())
			}
			w.wait(20 * time.Minute) // less would make them one scan
		}
	}
}

// Three scanners make their whole network dark.
func TestDarkNetwork(t *testing.T) {
	for _, x := range []struct{ format, network, other, stranger string }{
		{"203.0.113.%d", "203.0.113.0/24", "203.0.113.200", "203.0.114.1"},
		{"2001:db8:5:%x::1", "2001:db8:5::/56", "2001:db8:5:ff::1", "2001:db8:5:100::1"},
	} {
		w := newWorld(t, weighed())
		w.to = netip.MustParseAddr("192.0.2.2")
		dst := at("192.0.2.2")
		if strings.Contains(x.format, ":") {
			dst = at("2001:db8::2")
		}
		raw := func(p *probe.Probe) { look(p, probe.ZMap); p.Window, p.ID = 1024, 0 }
		// the second has a neighbour who scans
		for i, length := range []time.Duration{24 * time.Hour, 7 * 24 * time.Hour} {
			a := fmt.Sprintf(x.format, i+1)
			w.goesDark(w.send(dst, raw, port(80), from(a)), w.SourceOf(netip.MustParseAddr(a)).String(),
				length)
		}
		d := w.send(dst, raw, port(80), from(fmt.Sprintf(x.format, 3)))
		w.goesDark(d, x.network, 24*time.Hour)
		if d.Reason != PartOfNetwork || !d.Observed.Has(probe.Sibling) {
			t.Errorf("%v: %s", d.Reason, d.Evidence())
		}
		now := w.at.UnixNano()
		if !w.InForce(Dark, netip.MustParseAddr(x.other), now) ||
			w.InForce(Dark, netip.MustParseAddr(x.stranger), now) {
			t.Errorf("%s: it holds for others than its own", x.network)
		}
	}
}

// A source that goes dark with its network gets no event of its own. Its second port names it.
func TestNamedInTheDark(t *testing.T) {
	w := newWorld(t, weighed())
	for i := range 3 {
		w.send(likeTool(probe.ZMap), from(fmt.Sprintf("203.0.113.%d", 1+i)))
	}
	flags := func(p *probe.Probe) {
		p.Technique, p.Flags, p.Options, p.Window, p.DontFrag = probe.FIN, probe.FlagFIN, 0, 1024, false
	}
	w.spares(w.send(flags, port(25), from("203.0.113.9")), AlreadyDark)
	w.wait(20 * time.Millisecond)
	if d := w.send(flags, port(110), from("203.0.113.9")); !d.NewPattern || d.Pattern != PortScan {
		t.Errorf("%v, %s", d.Pattern, d.Evidence())
	}
}

// A network never goes dark as a whole if it is this host's own, or if a spared source or a peer is
// in it.
func TestNetworksSpared(t *testing.T) {
	for _, x := range []struct {
		who  string
		make func(*Config)
		then func(*world)
	}{
		{"a protected address",
			func(c *Config) { c.Protected = NewPrefixes(netip.MustParsePrefix("203.0.113.77/32")) }, nil},
		{"the operator",
			func(c *Config) { c.Operators = NewPrefixes(netip.MustParsePrefix("203.0.113.77/32")) }, nil},
		{"a peer", nil,
			func(w *world) { w.SetConnected(NewPrefixes(netip.MustParsePrefix("203.0.113.77/32"))) }},
		{"a link", func(c *Config) { c.OnLink = NewPrefixes(netip.MustParsePrefix("203.0.113.64/26")) }, nil},
		{"this host", nil, func(w *world) { w.to = netip.MustParseAddr("203.0.113.9") }},
	} {
		c := weighed()
		if x.make != nil {
			x.make(&c)
		}
		w := newWorld(t, c)
		if x.then != nil {
			x.then(w)
		}
		for i := range 20 {
			d := w.send(likeTool(probe.ZMap), port(80), from(fmt.Sprintf("203.0.113.%d", 100+i)))
			if d.Action != Dark || !d.Source.IsSingleIP() {
				t.Errorf("%s: %v of %v", x.who, d.Action, d.Source)
			}
		}
		if w.InForce(Dark, netip.MustParseAddr("203.0.113.77"), w.at.UnixNano()) {
			t.Errorf("%s is in the dark", x.who)
		}
	}
}

// Never dark are protected addresses, the operator, sources of a list that is only logged, sources
// of a flood, and anybody where the configuration wants logs or blocks alone.
func TestNotDark(t *testing.T) {
	scanner := netip.MustParsePrefix("198.51.100.7/32")
	for _, x := range []struct {
		who  string
		make func(*Config)
	}{
		{"protected", func(c *Config) { c.Protected = NewPrefixes(scanner) }},
		{"operator", func(c *Config) { c.Operators = NewPrefixes(scanner) }},
		{"known", func(c *Config) {
			c.Known = []Known{{Name: "x", Prefixes: NewPrefixes(scanner),
				Action: Log}}
		}},
		{"log", func(c *Config) { c.TCP.Action = Log }},
		{"block only", func(c *Config) { c.Style = BlockOnly }},
		{"not weighed", func(c *Config) { c.Score = Log }},
	} {
		c := weighed()
		x.make(&c)
		w := newWorld(t, c)
		for i := range 8 {
			if d := w.send(likeTool(probe.ZMap), port(80+i)); d.Action != None {
				t.Errorf("%s: %v for %q", x.who, d.Action, d.Reason)
			}
		}
	}
	c := weighed()
	c.Flood = 50
	w := newWorld(t, c)
	for i := range uint32(5000) {
		d := w.send(func(p *probe.Probe) { p.Source = addr4(i * 256); look(p, probe.ZMap) })
		if i > 100 && d.Action != None {
			t.Fatalf("forged source %d: %v", i, d.Action)
		}
	}
}

// A scan at full speed is a port scan, even if its source probed minutes before.
func TestFastAfterSlow(t *testing.T) {
	w := newWorld(t, weighed())
	for i := range 3 {
		w.send(port(1000 + i))
		w.wait(time.Minute)
	}
	for i := range 20 {
		if d := w.send(port(2000 + i)); d.NewPattern && d.Pattern != PortScan {
			t.Errorf("a %v at port %d", d.Pattern, i)
		} else if d.NewPattern {
			return
		}
		w.wait(10 * time.Millisecond)
	}
	t.Error("no pattern")
}

// A fast scan in the dark is no slow scan for earlier probes, unless these and the first fast probe
// are five ports, minutes apart.
func TestFastAfterSlowInTheDark(t *testing.T) {
	for slow := range 12 {
		w := newWorld(t, weighed())
		named := NoPattern
		for i := range slow {
			if d := w.send(likeTool(probe.Nmap), port(1000+i)); d.NewPattern {
				named = d.Pattern
			}
			w.wait(time.Minute)
		}
		w.wait(time.Minute)
		if want := map[bool]Pattern{true: SlowScan}[slow >= patternAt]; named != want {
			t.Errorf("%d slow probes are named %q", slow, named)
		}
		for i := range 20 {
			if d := w.send(likeTool(probe.Nmap), port(2000+i)); d.NewPattern {
				named = d.Pattern
				break
			}
			w.wait(10 * time.Millisecond)
		}
		if slow != patternAt-1 && named != PortScan {
			t.Errorf("after %d slow probes a %v", slow, named)
		}
	}
}

// A connection speaks for a peer, but a long scan outweighs it.
func TestFriendsCredit(t *testing.T) {
	w := newWorld(t, weighed())
	w.SetConnected(NewPrefixes(netip.MustParsePrefix("198.51.100.7/32")))
	w.spares(w.send(likeTool(probe.ZMap), port(80)), BelowTrigger)
	w.spares(w.send(likeTool(probe.ZMap), port(81)), BelowTrigger)
	w.spares(w.send(likeTool(probe.ZMap), port(82)), BelowTrigger)
	if d, n := w.scan(1000, 9, time.Second, likeTool(probe.ZMap)); n == 0 {
		t.Errorf("score %d", d.Score)
	}
}

// An observation weighs half after a week and nothing after two. An office that asks for one more
// port each day is not dark after two months.
func TestScoreWanes(t *testing.T) {
	w := newWorld(t, weighed())
	for day := range 60 {
		if d := w.send(port(30000 + day)); d.Action != None {
			t.Fatalf("dark after %d days: %s", day, d.Evidence())
		}
		w.wait(24 * time.Hour)
	}
}

// The trace of a forgotten source keeps its score, and whether it was dark.
func TestTraceKeepsScore(t *testing.T) {
	s := source{Key: probe.Words(netip.MustParseAddr("192.0.2.1")), score: 47,
		marks: markDark | uint8(probe.MadeRaw), agreed: 200, flags: decoyed | toldSweep}
	var back source
	x := traceOf(&s)
	x.fill(&back)
	if back.score != 47 || back.marks != markDark || back.flags != toldSweep || back.agreed != certainAfter {
		t.Errorf("%+v", back)
	}
}

// Each observation has a weight and a text of its own. Few are enough by themselves, and all fit
// into the record of a source.
func TestObservations(t *testing.T) {
	seen := map[string]bool{}
	for o := probe.Observation(1); int(o) < probe.Observations; o++ {
		if o.String() == "" || o.Decibans() == 0 || seen[o.String()] {
			t.Errorf("observation %d: %q, %d", o, o, o.Decibans())
		}
		seen[o.String()] = true
		if o.Decibans() > darkAt && o != probe.MadeRaw && o != probe.MadeFlags {
			t.Errorf("%s is enough by itself", o)
		}
	}
	if probe.MadeMixed > madeMask || probe.Observations > 32 {
		t.Error("a bit set is too small")
	}
	if darkTime(darkAt) != darkHours || darkTime(darkLongAt) != darkDay || darkTime(darkLongest) != darkWeek {
		t.Error("a length has another score")
	}
}
