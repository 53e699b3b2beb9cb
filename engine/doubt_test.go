// SPDX-License-Identifier: MIT

package engine

import (
	"net/netip"
	"testing"
	"time"

	"picket/internal/probe"
)

// visit sends a SYN to a service.
func (w *world) visit(options ...option) Decision { return w.Doubt(w.make(options...)) }

// bare is the SYN of a program that makes its own packets, each with another source port, like
// hping3.
func bare(n int) option {
	return func(p *probe.Probe) {
		p.Window, p.Options, p.MSS, p.TTL, p.DontFrag, p.Length = 512, 0, 0, 64, false, 40
		p.Port, p.SourcePort = uint16(n), uint16(2000+n)
	}
}

// linux is the SYN of an ordinary client to a port.
func linux(n int) option {
	return func(p *probe.Probe) {
		look(p, probe.Linux)
		p.Port, p.SourcePort = uint16(n), uint16(40000+7*n)
	}
}

// admits checks that a visit is let in and nothing follows.
func (w *world) admits(d Decision, why Reason) {
	w.Helper()
	if d.Refused || d.Action != None || d.Tell || d.Reason != why {
		w.Errorf("refused %v, %v, told %v, %q with a score of %d: want it let in for %q",
			d.Refused, d.Action, d.Tell, d.Reason, d.Score, why)
	}
}

// A source that is not known to scan is let in, whatever its packet looks like. A visit is no
// probe.
func TestStrangersAreLetIn(t *testing.T) {
	w := newWorld(t, weighed())
	for n := range 1000 {
		w.admits(w.visit(bare(1+n%9)), LetIn)
		w.admits(w.visit(linux(1+n%9), from("198.51.100.8")), LetIn)
	}
	if s := w.Stats(); s.Sources != 0 || s.Probes != 0 || s.Doubts != 2000 {
		t.Errorf("%+v: want nothing counted but the visits", s)
	}
}

// A source that asked for the ports of bots is fenced at its next crude packet, which is turned
// away. After the fence, more crude packets are turned away one by one for the rest of the hour.
func TestScannerIsTurnedAway(t *testing.T) {
	w := newWorld(t, weighed())
	w.send(bare(7001))
	w.admits(w.visit(bare(80)), LetIn) // 22 of 30
	w.send(bare(23))
	d := w.visit(bare(443))
	w.fences(d)
	if !d.Refused || d.Reason != Turned || !d.Tell || d.Source.String() != "198.51.100.7/32" {
		t.Errorf("refused %v, %q, %v, told %v", d.Refused, d.Reason, d.Source, d.Tell)
	}
	if d = w.visit(bare(22)); !d.Refused || d.Reason != AlreadyFenced {
		t.Errorf("waiting when the fence was made: refused %v, %q", d.Refused, d.Reason)
	}
	w.wait(FenceTime + time.Second)
	if d = w.visit(bare(22)); !d.Refused || d.Action != None || d.Reason != FencedLately {
		t.Errorf("fenced lately: refused %v, %v, %q", d.Refused, d.Action, d.Reason)
	}
	w.admits(w.visit(linux(22)), LetIn)
	w.wait(time.Hour)
	w.fences(w.visit(bare(22)))
}

// A raw packet is turned away by itself and fences nobody: anybody may have sent it.
func TestRawVisitIsTurnedAway(t *testing.T) {
	w := newWorld(t, weighed())
	for _, tool := range []probe.Tool{probe.Nmap, probe.ZMap} {
		if d := w.visit(likeTool(tool), port(80)); !d.Refused || d.Action != None || d.Reason != Turned {
			t.Errorf("%v: refused %v, %v, %q", tool, d.Refused, d.Action, d.Reason)
		}
	}
}

// An ordinary packet is turned away only with a fence, after its source has asked for much. A mail
// program that configures itself, a file client and a monitor are never turned away.
func TestOrdinaryVisits(t *testing.T) {
	for name, ports := range map[string][]int{
		"mail autoconfiguration": {143, 110, 587, 993, 995, 465},
		"a file client":          {445, 139},
		"ten ports monitored":    {8000, 8001, 8002, 8003, 8004, 8005, 8006, 8007, 8008, 8009},
	} {
		w := newWorld(t, weighed())
		for _, n := range ports {
			w.send(linux(n))
		}
		d := w.visit(linux(443))
		w.admits(d, LetIn)
		t.Logf("%s: %d", name, d.Score)
	}
	w := newWorld(t, weighed())
	for i, n := range []int{23, 3389, 2323, 5555, 1433, 5900} {
		if i < 3 {
			w.admits(w.visit(linux(443)), LetIn)
		}
		w.send(linux(n))
	}
	w.fences(w.visit(linux(443)))
	w.wait(FenceTime + time.Second)
	w.admits(w.visit(linux(443)), LetIn) // until the hour is over
}

// Friends, people logged in and connected peers are always let in. Everybody is, where nothing is
// weighed or answered.
func TestVisitorsThatAreNotAsked(t *testing.T) {
	us := NewPrefixes(netip.MustParsePrefix("198.51.100.7/32"))
	for name, x := range map[string]struct {
		change func(*Config)
		peers  Prefixes
		why    Reason
	}{
		"ignored":   {change: func(c *Config) { c.Protected = us }, why: IsProtected},
		"logged in": {change: func(c *Config) { c.Operators = us }, why: IsOperator},
		"connected": {peers: us, why: IsConnected},
		"no scores": {change: func(c *Config) { c.Score = Log }, why: LetIn},
		"style":     {change: func(c *Config) { c.Style = BlockOnly }, why: LetIn},
		"log":       {change: func(c *Config) { c.TCP.Action = Log }, why: LetIn},
		"by a list": {change: func(c *Config) {
			c.Known = []Known{{Name: "x", Prefixes: us, Action: Log}}
		}, why: LetIn},
	} {
		c := weighed()
		if x.change != nil {
			x.change(&c)
		}
		w := newWorld(t, c)
		for n := range 9 {
			w.send(bare(7000 + n))
		}
		w.SetConnected(x.peers)
		if d := w.visit(likeTool(probe.ZMap), port(80)); d.Refused || d.Reason != x.why {
			t.Errorf("%s: refused %v, %q", name, d.Refused, d.Reason)
		}
	}
}

// Forged packets fence the source that they name for ten minutes an hour at most.
func TestForgedVisitsBuyMinutes(t *testing.T) {
	w := newWorld(t, weighed())
	fences, last := 0, time.Time{}
	for i := range 24 * 60 * 6 {
		w.send(bare(7000 + i%40))
		if d := w.visit(bare(1 + i%7)); d.Action == Fence {
			if !last.IsZero() && w.at.Sub(last) < time.Hour {
				t.Fatalf("fenced again after %v", w.at.Sub(last))
			}
			fences, last = fences+1, w.at
		} else if d.Action != None {
			t.Fatalf("%v", d.Action)
		}
		w.wait(10 * time.Second)
	}
	if fences == 0 || fences > 24 {
		t.Errorf("fenced %d times in a day", fences)
	}
}

func BenchmarkDoubt(b *testing.B) {
	e, err := New(weighed(), 7)
	if err != nil {
		b.Fatal(err)
	}
	w := world{Engine: e, at: time.Unix(1_800_000_000, 0), seq: 1}
	p := w.make(bare(80))
	e.Observe(p)
	b.ReportAllocs()
	for b.Loop() {
		e.Doubt(p)
	}
}
