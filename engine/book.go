// SPDX-License-Identifier: MIT

package engine

import (
	"container/heap"
	"net/netip"
)

// A book holds the reactions of one kind that are in force, so many at most. When
// it is full the least worthy makes room: one that rests on what may be forged
// before one that is proven, and of these the one that ends first. No network takes
// it all: in one that has its share, the oldest makes room for the newest.
type book struct {
	by       map[netip.Prefix]*entry
	worth    [2]queue // what may be forged, what is proven; who goes next first
	networks [networkLevels]map[netip.Prefix]*group
}

// An entry is one reaction in a book.
type entry struct {
	block
	source     netip.Prefix
	at         int // in its queue
	in         [networkLevels]*group
	next, prev [networkLevels]*entry // in its groups, the older one is prev
}

// A group is the entries of one network.
type group struct {
	n              int
	oldest, newest *entry
}

// The networks that have a share, by how many bits they have: the smallest that
// is announced, which is one owner's (RFC 6177 for IPv6), and what a provider or
// a large owner has. One of the former has a quarter of a bound, and one of the
// latter half.
const networkLevels = 2

// networkIn returns the network of a level that a is in.
func networkIn(a netip.Prefix, level int) netip.Prefix {
	bits := [...]int{24, 16}[level]
	if a.Addr().Is6() {
		bits *= 2
	}
	return netip.PrefixFrom(a.Addr(), min(bits, a.Bits())).Masked()
}

// shareOf returns what a network of a level has of a bound.
func shareOf(bound, level int) int { return max(1, bound>>(networkLevels-level)) }

func newBook() *book {
	b := &book{by: make(map[netip.Prefix]*entry)}
	for i := range b.networks {
		b.networks[i] = make(map[netip.Prefix]*group)
	}
	return b
}

// get returns the reaction to a that is in force at a time.
func (b *book) get(a netip.Prefix, at int64) (block, bool) {
	x := b.by[a]
	if x == nil {
		return block{}, false
	}
	if at >= x.until {
		b.remove(x)
		return block{}, false
	}
	return x.block, true
}

// add books a reaction, in the place of an older one to the same source. If there
// are limit of them, or as many as its network may have, another makes room, which
// is returned; false means that all are worthier.
func (b *book) add(a netip.Prefix, x block, at int64, limit int) (instead netip.Prefix, ok bool) {
	if old := b.by[a]; old != nil {
		b.remove(old)
	}
	for i := range b.worth {
		for q := &b.worth[i]; len(*q) > 0 && at >= (*q)[0].until; {
			b.remove((*q)[0])
		}
	}
	if y := b.leastWorthy(a, limit); y != nil {
		if x.forgeable && !y.forgeable {
			return netip.Prefix{}, false
		}
		instead = y.source
		b.remove(y)
	}
	b.insert(&entry{block: x, source: a})
	return instead, true
}

// leastWorthy returns which entry makes room for one of a, nil if none needs to.
func (b *book) leastWorthy(a netip.Prefix, limit int) *entry {
	for level := range networkLevels {
		if g := b.networks[level][networkIn(a, level)]; g != nil && g.n >= shareOf(limit, level) {
			return g.oldest
		}
	}
	if len(b.by) < limit {
		return nil
	}
	if len(b.worth[0]) > 0 {
		return b.worth[0][0]
	}
	return b.worth[1][0]
}

func (b *book) insert(x *entry) {
	b.by[x.source] = x
	heap.Push(b.queue(x), x)
	for level := range networkLevels {
		network := networkIn(x.source, level)
		g := b.networks[level][network]
		if g == nil {
			g = new(group)
			b.networks[level][network] = g
		}
		x.in[level], x.prev[level] = g, g.newest
		if g.newest != nil {
			g.newest.next[level] = x
		} else {
			g.oldest = x
		}
		g.newest = x
		g.n++
	}
}

func (b *book) remove(x *entry) {
	delete(b.by, x.source)
	heap.Remove(b.queue(x), x.at)
	for level, g := range x.in {
		prev, next := x.prev[level], x.next[level]
		if prev != nil {
			prev.next[level] = next
		} else {
			g.oldest = next
		}
		if next != nil {
			next.prev[level] = prev
		} else {
			g.newest = prev
		}
		if g.n--; g.n == 0 {
			delete(b.networks[level], networkIn(x.source, level))
		}
	}
}

// queue returns the queue that an entry waits in for its end.
func (b *book) queue(x *entry) *queue {
	if x.forgeable {
		return &b.worth[0]
	}
	return &b.worth[1]
}

// A queue is a heap of entries, the one that ends first on top.
type queue []*entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].until < q[j].until }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].at, q[j].at = i, j
}

// Push implements heap.Interface.
func (q *queue) Push(x any) {
	e := x.(*entry)
	e.at = len(*q)
	*q = append(*q, e)
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return e
}

// rates let so many of all through, and of one network no more than its share.
// Networks share their buckets by a hash, so that nobody has a fresh one.
type rates struct {
	all pace
	of  [networkLevels][1 << 8]pace
}

// allow reports whether one more of a may pass: each costs that much time, and
// burst of time is saved up.
func (r *rates) allow(a netip.Prefix, seed uint64, now, each, burst int64) bool {
	for level := range networkLevels {
		share := each << (networkLevels - level)
		h := words(networkIn(a, level).Addr()).mix(seed)
		if !r.of[level][h%uint64(len(r.of[level]))].allow(now, share, max(burst, share)) {
			return false
		}
	}
	return r.all.allow(now, each, burst)
}
