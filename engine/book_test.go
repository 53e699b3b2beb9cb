// SPDX-License-Identifier: MIT

package engine

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"picket/internal/probe"
)

// sound holds that the parts of a book agree with each other.
func (b *book) sound(t *testing.T, limit int) {
	t.Helper()
	if n := len(b.worth[0]) + len(b.worth[1]); n != len(b.by) || n > limit {
		t.Fatalf("%d in the queues, %d in the book, want at most %d", n, len(b.by), limit)
	}
	for i, q := range b.worth {
		for at, x := range q {
			if x.at != at || x.forgeable != (i == 0) || b.by[x.source] != x || at > 0 && q[(at-1)/2].until > x.until {
				t.Fatalf("%v is out of place", x.source)
			}
		}
	}
	for level := range networkLevels {
		n := 0
		for network, g := range b.networks[level] {
			before, here := (*entry)(nil), 0
			for x := g.oldest; x != nil; x = x.next[level] {
				if x.prev[level] != before || networkIn(x.source, level) != network || x.in[level] != g {
					t.Fatalf("%v is in the wrong list", x.source)
				}
				before = x
				here++
			}
			if here != g.n || here == 0 || g.newest != before {
				t.Fatalf("%v: %d in the list, %d counted", network, here, g.n)
			}
			n += here
		}
		if n != len(b.by) {
			t.Fatalf("%d in networks, %d in the book", n, len(b.by))
		}
	}
}

// TestBook does anything to a book: it keeps its bounds, what goes is never worthier
// than what comes, and what has ended is in nobody's way.
func TestBook(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for _, limit := range []int{1, 2, 16, 100} {
		b, now := newBook(), int64(1)
		for range 5000 {
			now += r.Int64N(20)
			a := netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, byte(r.IntN(3)), byte(r.IntN(40))}), 32)
			if r.IntN(3) == 0 {
				a = netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(r.IntN(2)), 0, 0, byte(r.IntN(60))}), []int{64, 56, 128}[r.IntN(3)]).Masked()
			}
			was, there := b.get(a, now)
			switch r.IntN(5) {
			case 0:
				if x := b.by[a]; x != nil {
					b.remove(x)
				}
				continue
			case 1:
				if there && now >= was.until {
					t.Fatalf("%v is in force after its end", a)
				}
				continue
			}
			x := block{since: now, until: now + 1 + r.Int64N(1000), forgeable: r.IntN(2) == 0}
			before := map[netip.Prefix]block{}
			for k, e := range b.by {
				before[k] = e.block
			}
			instead, ok := b.add(a, x, now, limit)
			if got, in := b.get(a, now); ok != in || ok && got != x {
				t.Fatalf("%v: added %v, got %v", a, ok, got)
			}
			if gone := before[instead]; instead.IsValid() && (x.forgeable && !gone.forgeable || instead == a || now >= gone.until) {
				t.Fatalf("%+v makes room for %+v", gone, x)
			}
			if !ok && !x.forgeable {
				t.Fatal("what is proven was refused")
			}
			b.sound(t, limit)
		}
	}
}

// One forger, or one owner of many addresses, leaves room for others, and the one
// of them who comes when the book is full is booked.
func TestNobodyTakesAll(t *testing.T) {
	for name, who := range map[string]func(i int) netip.Addr{
		"a /48": func(i int) netip.Addr {
			return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 1, byte(i >> 8), byte(i), 15: 1})
		},
		"a /32": func(i int) netip.Addr {
			return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(i >> 8), byte(i), 15: 1})
		},
		"a /16":   func(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}) },
		"anybody": func(i int) netip.Addr { return netip.AddrFrom4([4]byte{byte(20 + i), byte(i >> 8), 7, 7}) },
	} {
		for _, proven := range []bool{false, true} {
			c := graded()
			c.Blocks = 1000
			c.TCP.Trigger = [probe.Modes]int{}
			w := newWorld(t, c)
			kind, options := Fence, []option(nil)
			if proven {
				kind, options = Block, []option{mode(probe.Classic), is(probe.Connect)}
			}
			stranger := "203.0.113.9"
			w.send(append(options, from(stranger))...)
			in, instead := map[netip.Prefix]bool{}, 0
			for i := range 5000 {
				d := w.send(append(options, func(p *probe.Probe) { p.Source = who(i) })...)
				if d.Action != kind {
					w.spares(d, TooMany)
					continue
				}
				in[d.Source] = true
				if d.Instead.IsValid() {
					instead++
					delete(in, d.Instead)
				}
			}
			if name != "anybody" && !w.InForce(kind, netip.MustParseAddr(stranger), w.at.UnixNano()) {
				t.Errorf("%s, proven %v: a stranger had to go", name, proven)
			}
			if n := len(w.Engine.blocks.by[kind].by); n > c.Blocks || n-len(in) > 1 || n < len(in) || proven && instead < 4000 {
				t.Errorf("%s, proven %v: %d in the book, %d by what was decided, %d made room", name, proven, n, len(in), instead)
			}
			if d := w.send(append(options, from("192.0.2.77"))...); d.Action != kind {
				t.Errorf("%s, proven %v: who comes then is not answered: %v", name, proven, d.Reason)
			}
		}
	}
}
