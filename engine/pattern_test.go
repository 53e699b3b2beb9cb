// SPDX-License-Identifier: MIT

package engine

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"picket/internal/probe"
)

// A tally is how often each pattern was reported.
type tally map[Pattern]int

func (x tally) count(d Decision) Decision {
	if d.NewPattern {
		x[d.Pattern]++
	}
	return d
}

func TestNames(t *testing.T) {
	for _, x := range []struct {
		name  string
		pause time.Duration
		want  Pattern
	}{
		{"nmap -T4", 5 * time.Millisecond, PortScan},
		{"nmap -T2", 400 * time.Millisecond, PortScan},
		{"nmap -T1", 15 * time.Second, SlowScan},
		{"nmap -T0", 5 * time.Minute, SlowScan},
		{"a port an hour", time.Hour, SlowScan},
	} {
		t.Run(x.name, func(t *testing.T) {
			for _, stealth := range []bool{false, true} {
				w := newWorld(t, careful())
				var options []option
				if stealth {
					options = append(options, mode(probe.Stealth))
				}
				d, n := w.scan(100, 40, x.pause, options...)
				if stealth && x.pause > 10*time.Minute {
					continue // never two ports inside the window: stealth changes nothing
				}
				if n == 0 || d.Pattern != x.want {
					t.Errorf("blocked at probe %d as %q, want %q", n, d.Pattern, x.want)
				}
			}
		})
	}
	t.Run("told once", func(t *testing.T) {
		c := careful()
		c.TCP.Action = Log
		w, told := newWorld(t, c), tally{}
		for i := range 1000 {
			told.count(w.send(port(i)))
			w.wait(10 * time.Millisecond)
		}
		if len(told) != 1 || told[PortScan] != 1 {
			t.Errorf("%v", told)
		}
	})
	t.Run("single hot probe", func(t *testing.T) {
		c := careful()
		c.TCP.Trigger = [probe.Modes]int{}
		w := newWorld(t, c)
		if d := w.send(); d.Pattern != NoPattern || d.Evidence() == "" {
			t.Errorf("one probe is %q: %q", d.Pattern, d.Evidence())
		}
	})
}

func TestSweep(t *testing.T) {
	w, told := newWorld(t, careful()), tally{}
	for i := range 40 {
		d := told.count(w.send(at(fmt.Sprintf("192.0.2.%d", i+1))))
		w.wait(100 * time.Millisecond)
		if d.Action == None {
			continue
		}
		if i < 8 || i > 12 || d.Pattern != Sweep || d.Reason != AboveSweep || told[Sweep] != 1 {
			t.Errorf("probe %d: %q for %q, told %v", i+1, d.Pattern, d.Reason, told)
		}
		if want := "addresses of this host, 1 different port"; !strings.HasSuffix(d.Evidence(), want) {
			t.Errorf("evidence %q, want %q", d.Evidence(), want)
		}
		return
	}
	t.Error("forty addresses were asked for one port")
}

// The first probe of a source looks like part of a distributed scan. Its own probes give it another
// name as soon as there are enough.
func TestSweepAmidDistributed(t *testing.T) {
	w, told := newWorld(t, careful()), tally{}
	for i := range 50 {
		told.count(w.send(from(fmt.Sprintf("203.0.113.%d", i+1)), port(i+1), likeTool(probe.Nmap)))
		w.wait(time.Second)
	}
	if told[Distributed] != 1 {
		t.Fatalf("told %v, want one distributed scan", told)
	}
	var last Decision
	for i := range 9 {
		last = told.count(w.send(at(fmt.Sprintf("192.0.2.%d", i+1)), likeTool(probe.Nmap)))
	}
	if told[Sweep] != 1 || last.Pattern != Sweep {
		t.Errorf("told %v, at last %q", told, last.Pattern)
	}
}

// Probes to different addresses of this host are not copies of each other, whatever their sequence
// numbers are.
func TestSweepsAreNoCopies(t *testing.T) {
	for _, x := range []struct {
		name, network string
		seq           func(netip.Addr) uint32
	}{
		{"the destination, as Mirai's", "192.0.2.%d",
			func(a netip.Addr) uint32 { b := a.As4(); return binary.BigEndian.Uint32(b[:]) }},
		{"one less than that", "192.0.2.%d",
			func(a netip.Addr) uint32 { b := a.As4(); return binary.BigEndian.Uint32(b[:]) - 1 }},
		{"one for all, as nmap's", "192.0.2.%d", func(netip.Addr) uint32 { return 77 }},
		{"one for all networks, as nmap's", "2001:db8:0:%d::1", func(netip.Addr) uint32 { return 77 }},
		{"one for all neighbours, as nmap's", "2001:db8::%d", func(netip.Addr) uint32 { return 77 }},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newWorld(t, careful())
			for i := range 9 {
				a := netip.MustParseAddr(fmt.Sprintf(x.network, i+1))
				source := "198.51.100.7"
				if a.Is6() {
					source = "2001:db8:ffff::7"
				}
				if d := w.send(from(source), at(a.String()), sport(40000),
					seq(x.seq(a))); d.Reason == Retransmission {
					t.Fatalf("probe %d: %v", i+1, d.Reason)
				} else if i == 8 && d.Pattern != Sweep {
					t.Errorf("at last %q", d.Pattern)
				}
			}
		})
	}
}

func TestOldTargetsDoNotCount(t *testing.T) {
	w := newWorld(t, careful())
	for i := range 200 {
		w.spares(w.send(at(fmt.Sprintf("192.0.2.%d", i+1))), BelowTrigger)
		w.wait(6 * time.Minute) // three or four inside the windows
	}
}

// TestDecoys sends each probe once from each address, as nmap -D does.
func TestDecoys(t *testing.T) {
	senders := func(i int) option { return from(fmt.Sprintf("198.51.100.%d", i+1)) }
	scan := func(w *world, ports int) (told tally, blocked map[netip.Prefix]bool, most int) {
		told, blocked = tally{}, map[netip.Prefix]bool{}
		for p := range ports {
			w.seq++
			s := w.seq
			for i := range 11 {
				d := told.count(w.send(senders(i), port(100+p), sport(53036), seq(s), likeTool(probe.Nmap)))
				if d.Action == Block {
					blocked[d.Source] = true
				}
				if d.Pattern == Decoy {
					most = max(most, d.Sources)
				}
				w.wait(30 * time.Microsecond)
			}
			w.wait(10 * time.Millisecond)
		}
		return told, blocked, most
	}
	t.Run("named, and nobody blocked for it", func(t *testing.T) {
		told, blocked, most := scan(newWorld(t, careful()), 20)
		if len(told) != 1 || told[Decoy] != 11 || len(blocked) != 0 || most != 11 {
			t.Errorf("told %v, blocked %v, at most %d senders of one packet", told, blocked, most)
		}
	})
	t.Run("beyond twice the trigger copies excuse nobody", func(t *testing.T) {
		if told, blocked, _ := scan(newWorld(t, careful()), 21); len(blocked) != 11 || told[Decoy] != 11 {
			t.Errorf("told %v, blocked %v", told, blocked)
		}
	})
	t.Run("blocked if the operator says so", func(t *testing.T) {
		c := careful()
		c.Decoys = Block
		if told, blocked, _ := scan(newWorld(t, c), 1000); len(blocked) != 11 || told[Decoy] == 0 {
			t.Errorf("told %v, blocked %v", told, blocked)
		}
	})
	t.Run("blocked with trigger 0", func(t *testing.T) {
		c := careful()
		c.TCP.Trigger = [probe.Modes]int{}
		if _, blocked, _ := scan(newWorld(t, c), 3); len(blocked) != 11 {
			t.Errorf("blocked %v", blocked)
		}
	})
	t.Run("a sender of more than the others is blocked", func(t *testing.T) {
		w := newWorld(t, careful())
		scan(w, 20)
		if d, n := w.scan(500, 20, 10*time.Millisecond, senders(4)); d.Action != Block || n > 12 {
			t.Errorf("%v at probe %d", d, n)
		}
	})
	t.Run("so is one with proof", func(t *testing.T) {
		w := newWorld(t, careful())
		scan(w, 20)
		w.blocks(w.send(senders(4), mode(probe.Classic), is(probe.Connect)))
	})
	t.Run("strangers with the same ports are no decoys", func(t *testing.T) {
		w := newWorld(t, careful())
		for i := range 50 {
			for _, x := range []struct{ service, technique option }{{port(123), is(probe.UDP)},
				{port(5060), is(probe.UDP)}, {port(22), is(probe.SYN)}} {
				var p probe.Probe
				x.service(&p)
				if d := w.send(senders(i), x.service, sport(int(p.Port)), x.technique); d.Pattern == Decoy {
					t.Errorf("port %d: %v", p.Port, d)
				}
			}
			w.wait(time.Millisecond)
		}
	})
}

// Many strangers ask one UDP port within a second, and some have one source
// port by chance. They are no decoys of each other.
func TestStrangersAreNoDecoys(t *testing.T) {
	w, told, r := newWorld(t, careful()), tally{}, rand.New(rand.NewPCG(1, 2))
	for i := range 20_000 {
		told.count(w.send(is(probe.UDP), port(9), sport(32768+r.IntN(28232)),
			func(p *probe.Probe) { p.Source = addr4(uint32(i)) }))
		w.wait(5 * time.Millisecond)
	}
	if told[Decoy] > 3 {
		t.Errorf("told %v", told)
	}
}

func TestDistributed(t *testing.T) {
	type shape struct{ sources, each int }
	run := func(c Config, s shape, pause time.Duration, options ...option) (told tally, evidence string,
		blocked int) {
		w := newWorld(t, c)
		told = tally{}
		next := 1
		for round := range s.each {
			for i := range s.sources {
				d := told.count(w.send(append([]option{from(fmt.Sprintf("198.51.%d.%d", 100+i/250, i%250+1)),
					port(next)}, options...)...))
				if d.NewPattern && d.Pattern == Distributed {
					evidence = d.Evidence()
				}
				if d.Action == Block {
					blocked++
				}
				next++
				w.wait(pause)
			}
			_ = round
		}
		return told, evidence, blocked
	}
	for _, x := range []struct {
		name string
		shape
		pause   time.Duration
		options []option
		want    int
	}{
		{"ten sources with two ports each share a scan", shape{10, 2}, time.Second,
			[]option{likeTool(probe.Nmap)}, 1},
		{"and so do fifty with three", shape{50, 3}, time.Second, []option{likeTool(probe.Nmap)}, 1},
		{"and a hundred with one", shape{100, 1}, time.Second, []option{likeTool(probe.ZMap)}, 1},
		{"four are too few", shape{4, 3}, time.Second, []option{likeTool(probe.Nmap)}, 0},
		{"ordinary systems need to be more", shape{10, 2}, time.Second, nil, 0},
		{"as these", shape{40, 2}, time.Second, nil, 1},
		{"an hour between them is too long to tell", shape{10, 2}, time.Hour, []option{likeTool(probe.Nmap)},
			0},
	} {
		t.Run(x.name, func(t *testing.T) {
			told, evidence, blocked := run(careful(), x.shape, x.pause, x.options...)
			if told[Distributed] != x.want || blocked != 0 {
				t.Errorf("told %v, %d blocked", told, blocked)
			}
			if x.want == 1 && !strings.Contains(evidence, "share") {
				t.Errorf("evidence %q", evidence)
			}
		})
	}
	t.Run("each source of it is blocked if the operator says so", func(t *testing.T) {
		c := careful()
		c.Distributed = Block
		if _, _, blocked := run(c, shape{50, 3}, time.Second, likeTool(probe.Nmap)); blocked < 30 {
			t.Errorf("%d of 50 blocked", blocked)
		}
	})
	t.Run("a worm is no distributed scan: all copies ask the same ports", func(t *testing.T) {
		w, told := newWorld(t, careful()), tally{}
		r := rand.New(rand.NewPCG(1, 2))
		for range 20000 {
			told.count(w.send(func(p *probe.Probe) { p.Source = addr4(r.Uint32N(3000)) },
				port([]int{23, 2323, 80, 8080, 22}[r.IntN(5)]), likeTool(probe.ZMap)))
			w.wait(time.Second / 3)
		}
		if told[Distributed] != 0 {
			t.Errorf("%v", told)
		}
	})
}

// TestFlood sends a million forged sources past a scanner.
func TestFlood(t *testing.T) {
	for _, hot := range []bool{false, true} {
		t.Run(fmt.Sprintf("trigger 0 is %v", hot), func(t *testing.T) {
			c := careful()
			if hot {
				c.TCP.Trigger = [probe.Modes]int{}
			}
			c.Sources = 1 << 14 // so that the scanner is forgotten between its probes
			w, told := newWorld(t, c), tally{}
			r := rand.New(rand.NewPCG(1, 2))
			blocked, found, slow := 0, false, false
			const scanner, slowScanner = "203.0.113.9", "203.0.113.77"
			for i := range 1_000_000 {
				d := told.count(w.send(func(p *probe.Probe) { p.Source = addr4(r.Uint32N(1 << 24)) },
					port(1+i%1000)))
				if d.Action == Block {
					blocked++
				}
				w.wait(20 * time.Microsecond)
				if i%5000 == 4999 { // ten ports a second
					d := told.count(w.send(from(scanner), port(1+i/5000)))
					found = found || d.Action == Block && d.Pattern == PortScan
				}
				if i%50_000 == 49_999 { // one a second: forgotten between any two
					d := told.count(w.send(from(slowScanner), port(1+i/50_000)))
					slow = slow || d.Action == Block
				}
			}
			if blocked >= 1000 || !hot && blocked != 0 {
				t.Errorf("%d forged sources blocked", blocked)
			}
			if told[Flood] != 1 || told[PortScan] != 1 {
				t.Errorf("the flood was told %d times, the scan in it %d", told[Flood], told[PortScan])
			}
			if !found {
				t.Error("the scanner was not found")
			}
			if s := w.Stats(); s.Sources != c.Sources || !w.Flooding(w.at) || s.Evicted < 900_000 {
				t.Errorf("%+v", s)
			}
			if w.wait(time.Minute); w.Flooding(w.at) {
				t.Error("the flood does not end")
			}
		})
	}
}

// A scan of one port in five minutes is pieced together, although a flood evicts the scanner's record
// between any two probes.
func TestSlowScanThroughFloods(t *testing.T) {
	c := careful()
	c.Sources = 64
	w := newWorld(t, c)
	forged := uint32(0)
	w.send(from("203.0.113.9"), port(1))
	w.send(from("203.0.113.9"), port(2)) // two before the first flood: one alone leaves no trace
	for i := range 30 {
		for range 1000 {
			forged++
			w.send(func(p *probe.Probe) { p.Source = addr4(forged) }, port(i))
		}
		d := w.send(from("203.0.113.9"), port(100+i))
		if d.Action == Block {
			if d.Pattern != SlowScan || d.Reason != AboveSlow || d.Ports != 16 {
				t.Errorf("%q for %q, %d ports", d.Pattern, d.Reason, d.Ports)
			}
			if s, ok := w.Describe(netip.MustParseAddr("203.0.113.9")); !ok ||
				s.First.Sub(w.at) > -time.Hour {
				t.Errorf("first seen %v, now %v", s.First, w.at)
			}
			return
		}
		w.wait(5 * time.Minute)
	}
	t.Error("not found")
}

func TestIPv6Prefixes(t *testing.T) {
	c := careful()
	c.TCP.Trigger = [probe.Modes]int{}
	c.OnLink = NewPrefixes(netip.MustParsePrefix("2001:db8:1::/64"))
	c.Protected = NewPrefixes(netip.MustParsePrefix("2001:db8:2::53/128"))
	proof := []option{mode(probe.Classic), is(probe.Connect)}
	for _, x := range []struct {
		name, network, want string
		how                 []option
	}{
		{"several addresses of a prefix are blocked as one", "2001:db8:9::", "2001:db8:9::/64", nil},
		{"and so are those that prove themselves", "2001:db8:9::", "2001:db8:9::/64", proof},
		{"neighbours never", "2001:db8:1::", "", proof},
		{"link-local ones neither", "fe80::", "", proof},
		{"nor a prefix with a resolver in it", "2001:db8:2::", "", proof},
		{"nor one with a connected peer", "2001:db8:3::", "", proof},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newWorld(t, c)
			w.SetConnected(NewPrefixes(netip.MustParsePrefix("2001:db8:3::77/128")))
			got := ""
			for i := range 20 {
				d := w.send(append(x.how, from(fmt.Sprintf("%s%x", x.network, 0x1000+i*0x777)))...)
				if d.Reason == AlreadyBlocked {
					continue
				}
				w.blocks(d)
				if !d.Source.IsSingleIP() {
					got = d.Source.String()
				}
				w.wait(time.Second)
			}
			if got != x.want {
				t.Errorf("blocked %q, want %q", got, x.want)
			}
			if got != "" && !w.Blocked(netip.MustParseAddr(x.network+"ffff"), w.at.UnixNano()) {
				t.Error("another address of the prefix is not blocked")
			}
		})
	}
	t.Run("in graded style only proven addresses are joined", func(t *testing.T) {
		c := c
		c.Style = Graded
		c.Known = []Known{{Name: "list", Prefixes: NewPrefixes(netip.MustParsePrefix("2001:db8:9::/64")),
			Action: Block, First: true}}
		for _, proven := range []bool{false, true} {
			w := newWorld(t, c)
			for i := range 3 {
				options := []option{from(fmt.Sprintf("2001:db8:9::%x", 0x1000+i*0x777))}
				if proven {
					options = append(options, proof...)
				}
				d := w.send(options...)
				if w.blocks(d); d.Source.IsSingleIP() == (proven && i == 2) {
					t.Errorf("proven %v, address %d: %v", proven, i+1, d.Source)
				}
			}
		}
	})
	t.Run("a neighbour's ports are not another's", func(t *testing.T) {
		c := careful()
		c.OnLink = NewPrefixes(netip.MustParsePrefix("2001:db8:1::/64"))
		w := newWorld(t, c)
		w.scan(100, 10, time.Second, from("2001:db8:1::5"))
		w.spares(w.send(from("2001:db8:1::6"), port(500)), BelowTrigger)
		w.scan(100, 10, time.Second, from("2001:db8:5::5"))
		w.blocks(w.send(from("2001:db8:5::6"), port(500)))
	})
}
