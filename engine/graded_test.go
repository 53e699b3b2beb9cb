// SPDX-License-Identifier: MIT

package engine

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"picket/engine/internal/book"
	"picket/internal/probe"
)

// graded is the careful policy in the graded style.
func graded() Config {
	c := careful()
	c.Style, c.Score = Graded, Log
	return c
}

// fences checks that a decision fences.
func (w *world) fences(d Decision) {
	w.Helper()
	if d.Action != Fence || d.For != FenceTime || d.Proven {
		w.Errorf("%v for %v, proven %v, for %q: want a fence of %v", d.Action, d.For, d.Proven, d.Reason,
			FenceTime)
	}
}

// A source that may be forged is fenced, a proven one is blocked, longer each time.
func TestGraded(t *testing.T) {
	w := newWorld(t, graded())
	d, n := w.scan(100, 40, time.Second)
	w.fences(d)
	if n != 11 || d.Reason != AboveTrigger || d.Source.String() != "198.51.100.7/32" {
		t.Errorf("%v at probe %d for %q", d.Source, n, d.Reason)
	}
	w.spares(w.send(port(500)), AlreadyFenced)
	src := netip.MustParseAddr("198.51.100.7")
	if !w.InForce(Fence, src, w.at.UnixNano()) || w.Blocked(src, w.at.UnixNano()) || w.Stats().Fences != 1 {
		t.Error("not in the books, or in the wrong one")
	}
	for i, want := range []time.Duration{10 * time.Minute, time.Hour, 24 * time.Hour} {
		d := w.send(mode(probe.Classic), is(probe.Connect), port(11))
		w.blocks(d)
		if !d.Proven || d.For != want || d.Offence != i+1 {
			t.Errorf("proven %v, for %v, offence %d: want %v", d.Proven, d.For, d.Offence, want)
		}
		w.spares(w.send(mode(probe.Classic), is(probe.Connect), port(15)), AlreadyBlocked)
		w.wait(want + time.Minute)
	}
}

// A forged source is fenced for at most ten minutes an hour, however long and fast it is forged. An
// earlier fence makes no later one longer or easier: each takes all the ports again.
func TestForgeryBuysMinutes(t *testing.T) {
	for _, x := range []struct {
		name  string
		each  time.Duration
		ports int
		to    func(i int) []option
	}{
		{"a port a second", time.Second, 1000, nil},
		{"the same thirty ports, for ever", time.Second, 30, nil},
		{"a port in twenty seconds", 20 * time.Second, 1000, nil},
		{"a port in ten minutes", 10 * time.Minute, 60000, nil},
		{"many addresses of ours", time.Second, 3,
			func(i int) []option {
				return []option{at(netip.AddrFrom4([4]byte{192, 0, 2,
					byte(i)}).String())}
			}},
		{"datagrams", time.Second, 1000, func(int) []option { return []option{is(probe.UDP)} }},
		{"anything, at any time", 0, 65000, func(i int) []option {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			options := []option{is([]probe.Technique{probe.SYN, probe.FIN, probe.ACK, probe.UDP,
				probe.Fragment}[r.IntN(5)]), mode([]probe.Mode{probe.Stealth, probe.Advanced}[r.IntN(2)]),
				at(netip.AddrFrom4([4]byte{192, 0, 2, byte(r.IntN(9))}).String())}
			return append(options, func(p *probe.Probe) {
				p.Unread, p.Over = r.IntN(9) == 0,
					r.IntN(500) == 0
			})
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newWorld(t, graded())
			var fenced []time.Time
			seed := uint64(time.Now().UnixNano())
			t.Log("seed", seed)
			r := rand.New(rand.NewPCG(seed, 0))
			for i := 0; w.at.Sub(time.Unix(1_800_000_000, 0)) < 24*time.Hour; i++ {
				options := []option{port(1 + i%x.ports)}
				if x.to != nil {
					options = append(options, x.to(i)...)
				}
				d := w.send(options...)
				if d.Action == Fence {
					fenced = append(fenced, w.at)
				}
				if d.Action != None && (d.Action != Fence || d.For != 10*time.Minute || d.Offence != 0) {
					t.Fatalf("%v for %v, offence %d", d.Action, d.For, d.Offence)
				}
				if w.wait(x.each); x.each == 0 { // bursts, and silence up to an hour
					if w.wait(time.Duration(r.IntN(2000)) * time.Millisecond); r.IntN(300) == 0 {
						w.wait(time.Duration(r.IntN(60)) * time.Minute)
					}
				}
			}
			for i := 1; i < len(fenced); i++ {
				if pause := fenced[i].Sub(fenced[i-1]); pause < time.Hour {
					t.Fatalf("fenced again after %v", pause)
				}
			}
			if len(fenced) == 0 || len(fenced) > 24 {
				t.Errorf("fenced %d times in a day", len(fenced))
			}
			t.Logf("fenced %d times in a day", len(fenced))
		})
	}
}

// 187 packets once kept an innocent address blocked for 6.7 days: twenty-six, and one more at the
// end of each block. Now the first twenty-six buy ten minutes. The others, one port an hour, buy
// ten minutes for each sixteen, like any slow scan.
func TestFewPacketsBuyLittle(t *testing.T) {
	c := graded()
	c.TCP.Trigger = [probe.Modes]int{25, 25, 25, 25}
	w := newWorld(t, c)
	fenced := time.Duration(0)
	for i := range 187 {
		d := w.send(port(1 + i%26))
		fenced += d.For
		if d.Action == Block {
			t.Fatal("blocked")
		}
		if i >= 25 {
			w.wait(time.Hour)
		}
	}
	if fenced > (1+161/16)*FenceTime {
		t.Errorf("187 packets over %v keep it fenced for %v", w.at.Sub(time.Unix(1_800_000_000, 0)), fenced)
	}
	t.Logf("187 packets over %v keep it fenced for %v", w.at.Sub(time.Unix(1_800_000_000, 0)), fenced)
}

// The end of an unproven response forgets the ports that led to it, in either style. Proof stays.
func TestPortsAreForgotten(t *testing.T) {
	for _, c := range []Config{careful(), graded()} {
		w := newWorld(t, c)
		d, n := w.scan(100, 40, time.Millisecond)
		w.wait(d.For + 2*time.Hour) // longer than the pause, shorter than the slow window
		w.spares(w.send(port(600)), BelowTrigger)
		if _, again := w.scan(200, 40, time.Millisecond); n != 11 || again != 10 {
			t.Errorf("%v: reacted to probe %d, and to %d later", c.Style, n, again)
		}
	}
}

// A fence holds for everything that the kernel counts as one source, an IPv6 prefix or a single
// neighbour. A block may hold for less.
func TestFencePrefixes(t *testing.T) {
	c := graded()
	c.OnLink = NewPrefixes(netip.MustParsePrefix("2001:db8:1::/64"))
	c.Protected = NewPrefixes(netip.MustParsePrefix("2001:db8:2::53/128"))
	for from6, want := range map[string]string{
		"2001:db8:9::7": "2001:db8:9::/64", "2001:db8:1::7": "2001:db8:1::7/128", "fe80::7": "fe80::7/128",
		"2001:db8:2::7": "2001:db8:2::7/128",
	} {
		w := newWorld(t, c)
		d, _ := w.scan(100, 40, time.Second, from(from6))
		w.fences(d)
		if d.Source.String() != want {
			t.Errorf("%s: %v is fenced, want %s", from6, d.Source, want)
		}
	}
}

// The number of fences in a minute is bounded. A fence that the kernel did not make is not in the
// books.
func TestFenceRate(t *testing.T) {
	addr4 := func(i uint32) netip.Addr { // each in the next /16
		return netip.AddrFrom4([4]byte{11 + byte(i), byte(i >> 8), byte(i >> 16), 1})
	}
	c := graded()
	c.TCP.Trigger = [probe.Modes]int{}
	w := newWorld(t, c)
	fenced := 0
	for i := range uint32(2 * fenceRate) {
		switch d := w.send(func(p *probe.Probe) { p.Source = addr4(i) }); d.Action {
		case Fence:
			fenced++
		default:
			w.spares(d, TooMany)
			if d.Release {
				t.Fatal("released, with nothing else to stop it")
			}
		}
	}
	if fenced != fenceRate {
		t.Errorf("%d fenced at once, want %d", fenced, fenceRate)
	}
	first := netip.PrefixFrom(addr4(0), 32)
	w.End(Fence, first)
	if w.InForce(Fence, first.Addr(), w.at.UnixNano()) || w.Stats().Fences != fenceRate-1 {
		t.Error("ended, and still in the books")
	}
	w.Restore(Fence, first, w.at, w.at.Add(time.Minute))
	w.spares(w.send(from(first.Addr().String())), AlreadyFenced)
	w.wait(2 * time.Minute)
	if d := w.send(from(first.Addr().String())); d.Reason != FencedLately || !d.Release {
		t.Errorf("%v, released %v", d.Reason, d.Release)
	}
	w.wait(time.Hour)
	w.fences(w.send(from(first.Addr().String())))
}

// TestLately fills the memory of an hour with as many fences as fenceRate allows.
func TestLately(t *testing.T) {
	l := book.NewLately(5)
	now := int64(1_800_000_000) * int64(time.Second)
	const all = fenceRate * 61
	for i := range uint32(all) {
		l.Note(probe.Words(addr4(i)), now+int64(i)*int64(time.Hour)/all)
	}
	lost := 0
	for i := range uint32(all) {
		if l.Free(probe.Words(addr4(i)),
			now+int64(i)*int64(time.Hour)/all+book.FencePause-int64(2*time.Second)) {
			lost++
		}
	}
	if lost > all/500 {
		t.Errorf("%d of %d were forgotten within the hour", lost, all)
	}
	if !l.Free(probe.Words(addr4(7)), now+2*book.FencePause) {
		t.Error("remembered for longer than an hour")
	}
	t.Logf("%d of %d were forgotten within the hour", lost, all)
}

// The block style spares sources that a block would harm. A fence does not harm them, so the
// graded style fences them too, and no scanner gets past as one of them.
func TestFencedWhereSpared(t *testing.T) {
	scanner := netip.MustParsePrefix("198.51.100.7/32")
	t.Run("a connected peer", func(t *testing.T) {
		w := newWorld(t, graded())
		w.SetConnected(NewPrefixes(scanner))
		d, n := w.scan(100, 40, time.Second)
		if w.fences(d); n != 11 {
			t.Errorf("at probe %d", n)
		}
	})
	t.Run("one of a list that is blocked at once, connected", func(t *testing.T) {
		c := known("shodan", Block, true)
		c.Style = Graded
		w := newWorld(t, c)
		w.SetConnected(NewPrefixes(scanner))
		w.fences(w.send())
		w = newWorld(t, c)
		w.blocks(w.send())
	})
	t.Run("in a flood", func(t *testing.T) {
		c := graded()
		c.Flood = 100
		w := newWorld(t, c)
		for i := range uint32(200) {
			w.send(func(p *probe.Probe) { p.Source = addr4(i) })
		}
		d, n := w.scan(100, 40, time.Millisecond, mode(probe.Stealth))
		if w.fences(d); n != 2 || !w.Flooding(w.at) {
			t.Errorf("at probe %d, flooding %v", n, w.Flooding(w.at))
		}
	})
	t.Run("with decoys, at the trigger", func(t *testing.T) {
		w, fenced := newWorld(t, graded()), map[string]int{}
		for i := range 40 {
			w.seq++
			s := w.seq
			for _, a := range []string{"203.0.113.1", "198.51.100.7"} {
				if d := w.send(from(a), port(100+i), sport(53036), seq(s),
					likeTool(probe.Nmap)); d.Action != None {
					w.fences(d)
					fenced[a] = i + 1
					if d.Reason != AboveCopies || d.Pattern != Decoy {
						t.Errorf("%v, %v: %s", d.Reason, d.Pattern, d.Evidence())
					}
				}
			}
			w.wait(time.Millisecond)
		}
		if fenced["198.51.100.7"] != 11 || fenced["203.0.113.1"] != 11 {
			t.Errorf("fenced at %v", fenced)
		}
	})
	t.Run("never the operator, unless proven", func(t *testing.T) {
		for _, style := range []Style{Graded, BlockOnly} {
			c := careful()
			c.Style, c.Operators = style, NewPrefixes(scanner)
			w := newWorld(t, c)
			if d, n := w.scan(100, 40, time.Second); n != 0 || d.Reason != IsOperator {
				t.Errorf("%v: at probe %d, %v", style, n, d.Reason)
			}
			w.blocks(w.send(mode(probe.Classic), is(probe.Connect)))
		}
	})
}

// Sources that divide a scan, each below its trigger, learn at most two hundred of a thousand ports
// together, however they divide it.
func TestDividedScan(t *testing.T) {
	const sources, each = 42, 24
	for _, x := range []struct {
		name string
		tool probe.Tool
		turn bool // one port each in turn, or one source after another
		v6   bool
		most int
	}{
		{"one after another, with nmap", probe.Nmap, false, false, 4*24 + 38},
		{"in turn, with nmap", probe.Nmap, true, false, 120},
		{"one after another, with nmap, over IPv6", probe.Nmap, false, true, 4*24 + 38},
		{"one after another, by connect()", probe.Linux, false, false, 4*24 + 38},
		{"in turn, by connect()", probe.Linux, true, false, 120},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := graded()
			c.TCP.Trigger = [probe.Modes]int{25, 25, 25, 25}
			w, told := newWorld(t, c), tally{}
			answered := 0
			for i := range sources * each {
				source := i / each
				if x.turn {
					source = i % sources
				}
				a := netip.AddrFrom4([4]byte{198, 51, 100, byte(source + 1)})
				if x.v6 {
					a = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, byte(source + 1), 15: 1})
				}
				if w.InForce(Fence, a, w.at.UnixNano()) {
					continue
				}
				answered++
				if d := told.count(w.send(from(a.String()), port(1+i), likeTool(x.tool))); d.Action != None {
					w.fences(d)
					if d.Reason != PartOfScan {
						t.Fatalf("%v", d.Reason)
					}
				}
				w.wait(5 * time.Millisecond)
			}
			if answered > x.most || told[Distributed] != 1 {
				t.Errorf("%d ports answered, told %v", answered, told)
			}
			t.Logf("%d ports answered", answered)
		})
	}
}

// A trigger counts ports of its own kind: five SYNs and a timestamp request are not six IP
// protocols.
func TestTriggerOfItsOwnKind(t *testing.T) {
	for _, c := range []Config{careful(), graded()} {
		w := newWorld(t, c)
		w.scan(100, 10, time.Second)
		for i := range 12 {
			w.spares(w.send(is(probe.UDP), port(200+i)), BelowTrigger)
		}
		w.spares(w.send(is(probe.ICMP), port(13<<8),
			func(p *probe.Probe) { p.Protocol = probe.ProtocolICMP }), BelowTrigger)
		d := w.send(port(110), func(p *probe.Probe) { p.Protocol = probe.ProtocolSCTP })
		if d.Action == None || d.Within != 11 || d.Inside != 24 {
			t.Errorf("%v: %v, %d ports of TCP and SCTP, %d of all", c.Style, d.Action, d.Within, d.Inside)
		}
	}
}
