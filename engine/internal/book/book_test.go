// SPDX-License-Identifier: MIT

package book

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// sound checks that the parts of a book agree with each other.
func (b *Book) sound(t *testing.T, limit int) {
	t.Helper()
	if n := len(b.worth[0]) + len(b.worth[1]); n != len(b.by) || n > limit {
		t.Fatalf("%d in the queues, %d in the book, want at most %d", n, len(b.by), limit)
	}
	for i, q := range b.worth {
		for at, x := range q {
			if x.at != at || x.Forgeable != (i == 0) || b.by[x.source] != x ||
				at > 0 && q[(at-1)/2].Until > x.Until {
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

// TestBook does anything to a book. The book keeps its bounds, an entry never makes room for a lesser
// one, and an ended one is in nobody's way.
func TestBook(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for _, limit := range []int{1, 2, 16, 100} {
		b, now := New(), int64(1)
		for range 5000 {
			now += r.Int64N(20)
			a := netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, byte(r.IntN(3)), byte(r.IntN(40))}), 32)
			if r.IntN(3) == 0 {
				a = netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(r.IntN(2)), 0, 0,
					byte(r.IntN(60))}), []int{64, 56, 128}[r.IntN(3)]).Masked()
			}
			was, there := b.Get(a, now)
			switch r.IntN(5) {
			case 0:
				if x := b.by[a]; x != nil {
					b.remove(x)
				}
				continue
			case 1:
				if there && now >= was.Until {
					t.Fatalf("%v is in force after its end", a)
				}
				continue
			}
			x := Block{Since: now, Until: now + 1 + r.Int64N(1000), Forgeable: r.IntN(2) == 0}
			before := map[netip.Prefix]Block{}
			for k, e := range b.by {
				before[k] = e.Block
			}
			instead, ok := b.Add(a, x, now, limit)
			if got, in := b.Get(a, now); ok != in || ok && got != x {
				t.Fatalf("%v: added %v, got %v", a, ok, got)
			}
			if gone := before[instead]; instead.IsValid() && (x.Forgeable && !gone.Forgeable ||
				instead == a || now >= gone.Until) {
				t.Fatalf("%+v makes room for %+v", gone, x)
			}
			if !ok && !x.Forgeable {
				t.Fatal("what is proven was refused")
			}
			b.sound(t, limit)
		}
	}
}
