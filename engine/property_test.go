// SPDX-License-Identifier: MIT

package engine

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"picket/engine/internal/book"
	"picket/internal/probe"
)

// A tape makes a probe from each twelve bytes: few sources, ports and targets, so that they meet,
// and any times.
type tape struct {
	data []byte
	at   int64
}

func (x *tape) next() (p probe.Probe, ok bool) {
	if len(x.data) < 12 {
		return p, false
	}
	b := x.data[:12]
	x.data = x.data[12:]
	switch step := int64(binary.LittleEndian.Uint16(b[10:])); b[0] >> 5 {
	case 0, 1, 2:
		x.at += step * 1000 // up to 65 ms
	case 3:
		x.at += step * int64(time.Second) // up to 18 h
	case 4:
		x.at -= step * int64(time.Millisecond) // out of order
	case 5:
		x.at -= step * int64(time.Minute) // the clock was set
	case 6:
		x.at += step * int64(24*time.Hour) // up to 179 years: a broken capture
	case 7:
		x.at = int64(step<<48 | step) // anything
	}
	p = probe.Probe{
		At: x.at, SourcePort: uint16(b[1])<<8 | uint16(b[2]), Port: uint16(b[3]),
		Protocol: []uint8{probe.ProtocolTCP, probe.ProtocolUDP, probe.ProtocolSCTP, 47}[b[4]&3],
		Mode:     probe.Mode(b[4] >> 2 & 3), Technique: probe.Technique(b[4] >> 4), Seq: uint32(b[5] & 7),
		Window: 1024, TTL: 50, DontFrag: b[5]&8 != 0,
		Destination: netip.AddrFrom4([4]byte{192, 0, 2, b[6]}),
		Source:      netip.AddrFrom4([4]byte{198, 51, 100, b[7] & 63}),
	}
	switch b[5] >> 4 {
	case 14:
		p.Unread, p.Port, p.SourcePort = true, 0, 0
	case 15:
		p.Over = true
	default:
		p.Sent = probe.Sent(b[5]>>4) % (probe.SentNotYet + 1)
	}
	if b[0]&1 != 0 {
		p.Source = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, b[7] & 7, 15: b[8]})
		p.Destination = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 1, 15: b[6]})
	}
	if p.Mode == 0 {
		p.Mode = probe.Advanced
	}
	return p, true
}

// hard is a configuration with small limits, so that everything happens soon.
func hard(style Style) Config {
	return Config{
		Style:   style,
		Sources: 16, Window: time.Minute, Blocks: 8, UnprovenRate: 1000, Flood: 50, Sweep: 3, Slow: 5,
		ToolTrigger: 2,
		TCP:         Policy{Action: Block, Trigger: [probe.Modes]int{0, 0, 1, 3}}, UDP: Policy{Action: Run,
			Trigger: [probe.Modes]int{2, 2, 2, 2}},
		IP: Policy{Action: Log, Trigger: [probe.Modes]int{1, 1, 1, 1}},
		Protected: NewPrefixes(netip.MustParsePrefix("198.51.100.0/28"),
			netip.MustParsePrefix("2001:db8:0:1::/64")),
		OnLink: NewPrefixes(netip.MustParsePrefix("2001:db8:0:2::/64")),
		Operators: NewPrefixes(netip.MustParsePrefix("198.51.100.60/32"),
			netip.MustParsePrefix("2001:db8:0:3::1/128")),
	}
}

// FuzzObserve holds for any probes in any order at any time: a protected source gets no response; a
// connected peer and the operator are blocked only if proven; nobody is fenced twice in an hour;
// memory stays in its bounds; every record stays sound; the same probes give the same decisions,
// expected or not.
func FuzzObserve(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 8 {
		b := make([]byte, 12*(20+60*(i%3)))
		for j := range b {
			b[j] = byte(r.Uint32())
			if j%12 == 0 && i < 6 {
				b[j] &= []byte{0x1f, 0x7f, 0x9f}[i%3] // times that mostly go on
			}
		}
		f.Add(b)
	}
	f.Add([]byte("twelve bytes, twelve bytes, twelve bytes"))
	f.Fuzz(func(t *testing.T, data []byte) {
		data = data[:min(len(data), 12*1000)] // long enough for everything to happen
		style := BlockOnly
		if len(data)%2 == 0 {
			style = Graded
		}
		one, _ := New(hard(style), 1)
		two, _ := New(hard(style), 1)
		peers := NewPrefixes(netip.MustParsePrefix("198.51.100.32/30"))
		one.SetConnected(peers)
		two.SetConnected(peers)
		x := tape{data: data, at: 1_800_000_000 * int64(time.Second)}
		fenced, before := map[netip.Prefix]int64{}, int64(0)
		var probes []probe.Probe
		for {
			p, ok := x.next()
			if !ok {
				break
			}
			probes = append(probes, p)
		}
		for i, p := range probes {
			if i%7 == 0 {
				two.Expect(probes[i:])
			}
			d := one.Observe(p)
			if again := two.Observe(p); again != d {
				t.Fatalf("probe %d: %+v, and again %+v", i, d, again)
			}
			holds(t, one, &p, &d, peers)
			now := one.clock.now
			if now < before {
				clear(fenced) // the engine's time was used up and began again
			}
			before = now
			if d.Action == Fence {
				if last, again := fenced[d.Source]; again && now-last < book.FencePause {
					t.Fatalf("probe %d: %v is fenced again after %v", i, d.Source, time.Duration(now-last))
				}
				fenced[d.Source] = now
			}
		}
		for s := range one.sources.all() {
			if !s.sound() || one.sources.peek(s.Key) != s {
				t.Fatalf("not sound: %+v", s)
			}
		}
	})
}

// holds checks one decision.
func holds(t *testing.T, e *Engine, p *probe.Probe, d *Decision, peers Prefixes) {
	t.Helper()
	s := e.Stats()
	switch {
	case s.Sources > e.cfg.Sources || s.Blocks > e.cfg.Blocks ||
		e.blocks.offenders.Len() > e.cfg.offenders() ||
		s.Traces > len(e.traces.all):
		t.Fatalf("out of bounds: %+v", s)
	case d.Reason == 0 || int(d.Reason) >= Reasons || int(d.Pattern) >= Patterns:
		t.Fatalf("no reason: %+v", d)
	case d.Action == None:
		return
	case e.cfg.Protected.Contains(p.Source) || e.cfg.Protected.Overlaps(d.Source):
		t.Fatalf("%v is protected: %+v", p.Source, d)
	case d.Action == Fence && (e.cfg.Style != Graded || d.Proven || d.For != FenceTime):
		t.Fatalf("fences without need: %+v", d)
	case d.Action == Block && e.cfg.Style == Graded && !d.Proven && d.Reason != LostBlock:
		t.Fatalf("blocks on what may be forged: %+v", d)
	case d.Action > Log && !d.Proven && d.Reason != LostBlock && e.cfg.Operators.Contains(p.Source):
		t.Fatalf("%v is the operator's: %+v", p.Source, d)
	case d.Instead == d.Source && d.Source.IsValid():
		t.Fatalf("makes room for itself: %+v", d)
	case d.Proven && (p.Technique != probe.Connect || !p.Sent.Proves()):
		t.Fatalf("%v is proven by %v: %+v", p.Source, p.Technique, d)
	case d.Action != Log && d.Action != Fence && d.Reason != LostBlock && (peers.Contains(p.Source) &&
		p.Technique != probe.Connect || !d.Source.IsSingleIP() && peers.Overlaps(d.Source)):
		t.Fatalf("%v is a peer: %+v", p.Source, d)
	case !d.Source.Contains(p.Source) || d.Source != d.Source.Masked() || d.For <= 0:
		t.Fatalf("blocks %v for %v: %+v", d.Source, p.Source, d)
	case !d.Source.IsSingleIP() && e.cfg.OnLink.Overlaps(d.Source):
		t.Fatalf("%v is on a link", d.Source)
	}
	if d.Evidence() == "" {
		t.Fatalf("no evidence: %+v", d)
	}
}

// After any jumps of the clock a scan is still found, and a client that knocks on one port is not
// taken for one.
func TestAnyClock(t *testing.T) {
	day := 24 * time.Hour
	for _, x := range []struct {
		name  string
		jumps []time.Duration
	}{
		{"an hour back", []time.Duration{-time.Hour}},
		{"to 1970", []time.Duration{-57 * 365 * day}},
		{"half a century ahead", []time.Duration{50 * 365 * day}},
		{"a century ahead and back", []time.Duration{100 * 365 * day, -100 * 365 * day}},
		{"an hour to and fro, 500 times", repeat(500, time.Hour, -time.Hour)},
		{"ten years to and fro, 3000 times", repeat(3000, 3650*day, -3650*day)},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newWorld(t, careful())
			w.send(from("203.0.113.1"))
			for _, j := range x.jumps {
				w.wait(j)
				w.spares(w.send(from("203.0.113.1")), BelowTrigger)
			}
			if d, n := w.scan(100, 40, time.Second); n != 11 || d.For != 5*time.Minute {
				t.Errorf("blocked at probe %d for %v", n, d.For)
			}
			w.wait(6 * time.Minute)
			if d, n := w.scan(200, 40, time.Second); n == 0 || d.Offence != 2 {
				t.Errorf("blocked again at probe %d, offence %d", n, d.Offence)
			}
		})
	}
	t.Run("packets out of order", func(t *testing.T) {
		w := newWorld(t, careful())
		n := 0
		for i := range 40 {
			w.wait([]time.Duration{3 * time.Second, -2 * time.Second}[i%2])
			if d := w.send(port(100 + i)); d.Action != None {
				n = i + 1
				break
			}
		}
		if n != 11 {
			t.Errorf("blocked at probe %d", n)
		}
	})
	t.Run("a clock set back does not keep the window open", func(t *testing.T) {
		w := newWorld(t, careful())
		w.scan(100, 9, time.Second)
		w.wait(-time.Hour)
		w.send(port(109))
		w.wait(11 * time.Minute)
		w.spares(w.send(port(110)), BelowTrigger)
	})
	t.Run("far ahead once, for one packet", func(t *testing.T) {
		w := newWorld(t, careful())
		w.wait(1000 * 365 * day / 4)
		w.send(from("203.0.113.1"))
		w.wait(-1000 * 365 * day / 4)
		if _, n := w.scan(100, 40, time.Second); n != 11 {
			t.Errorf("blocked at probe %d", n)
		}
		s, _ := w.Describe(netip.MustParseAddr("198.51.100.7"))
		if off := w.at.Sub(s.Last); off < -time.Minute || off > time.Minute {
			t.Errorf("last seen %v, now %v", s.Last, w.at)
		}
	})
}

func repeat(n int, jumps ...time.Duration) (out []time.Duration) {
	for range n {
		out = append(out, jumps...)
	}
	return out
}

// TestSlowWindowEnds: a port that was not asked for within the slow window is forgotten, although
// the source never goes away.
func TestSlowWindowEnds(t *testing.T) {
	w := newWorld(t, careful())
	for i := range 200 { // one new port a day, for months, and one old one every hour
		w.spares(w.send(port(100+i)), BelowTrigger)
		for range 24 {
			w.wait(time.Hour)
			w.spares(w.send(port(443)), BelowTrigger)
		}
	}
	if s, _ := w.Describe(netip.MustParseAddr("198.51.100.7")); len(s.List) > 9 || s.Ports < 200 {
		t.Errorf("remembers %v of %d", s.List, s.Ports)
	}
}

// TestNoAllocation: a probe without a response allocates nothing, even the first of a new source.
func TestNoAllocation(t *testing.T) {
	e, p := busy(1000)
	e.Expect(nil)
	i := uint32(0)
	probes := make([]probe.Probe, expectMost)
	if n := testing.AllocsPerRun(5000, func() {
		for j := range probes {
			i++
			p.Source, p.Port, p.Seq, p.At = addr4(i%2000), uint16(i%13), p.Seq+1, p.At+1e6
			probes[j] = p
		}
		e.Expect(probes)
		for j := range probes {
			e.Observe(probes[j])
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func ExampleEngine() {
	e, err := New(Config{TCP: Policy{Action: Block, Trigger: [probe.Modes]int{probe.Advanced: 2}}}, 1)
	if err != nil {
		panic(err)
	}
	p := probe.Probe{
		Source: netip.MustParseAddr("198.51.100.7"), Destination: netip.MustParseAddr("192.0.2.1"),
		Protocol: probe.ProtocolTCP, Mode: probe.Advanced, Technique: probe.SYN,
	}
	for i, port := range []uint16{22, 23, 25} {
		p.At, p.Port, p.Seq = time.Date(2027, 1, 1, 12, 0, i, 0, time.UTC).UnixNano(), port, uint32(i)
		d := e.Observe(p)
		fmt.Printf("%d: %s, %s (%s)\n", port, d.Action, d.Reason, d.Evidence())
	}
	// Output:
	// 22: none, not above the trigger (1 different port inside the window, 2 let pass)
	// 23: none, not above the trigger (2 different ports inside the window, 2 let pass)
	// 25: fence, above the trigger (3 different ports inside the window, 2 let pass)
}
