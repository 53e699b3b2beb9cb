// SPDX-License-Identifier: MIT

package book

import (
	"container/heap"
	"net/netip"
)

// A Book holds the reactions of one kind in force, up to a limit. In a full book the
// least worthy makes room: one on forgeable grounds before a proven one, and of these the
// one that ends first. No network takes it all: in one that has its share, the oldest
// makes room for the newest. Make one with [New].
type Book struct {
	by       map[netip.Prefix]*entry
	worth    [2]queue // forgeable, proven; the next to go on top
	networks [networkLevels]map[netip.Prefix]*group
}

// A Block is a reaction: when it began and when it ends, in nanoseconds of the
// engine's time.
type Block struct {
	Since, Until int64
	Forgeable    bool // anybody can send its grounds in the source's name
}

// An entry is one reaction in a book.
type entry struct {
	Block
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

// Networks of two sizes have a share: the smallest that is announced, one owner's (RFC
// 6177 for IPv6), has a quarter of a bound, and a provider's or a large owner's has half.
const networkLevels = 2

// networkIn returns the network of a level that a is in.
func networkIn(a netip.Prefix, level int) netip.Prefix {
	bits := [...]int{24, 16}[level]
	if a.Addr().Is6() {
		bits *= 2
	}
	return netip.PrefixFrom(a.Addr(), min(bits, a.Bits())).Masked()
}

// shareOf returns a network's share of a bound.
func shareOf(bound, level int) int { return max(1, bound>>(networkLevels-level)) }

// New returns an empty book.
func New() *Book {
	b := &Book{by: make(map[netip.Prefix]*entry)}
	for i := range b.networks {
		b.networks[i] = make(map[netip.Prefix]*group)
	}
	return b
}

// Get returns the reaction to a that is in force at a time.
func (b *Book) Get(a netip.Prefix, at int64) (Block, bool) {
	if len(b.by) == 0 {
		return Block{}, false // without the hash of a
	}
	x := b.by[a]
	if x == nil {
		return Block{}, false
	}
	if at >= x.Until {
		b.remove(x)
		return Block{}, false
	}
	return x.Block, true
}

// Len returns the number of reactions, those that have just ended included.
func (b *Book) Len() int { return len(b.by) }

// End forgets the reaction to a.
func (b *Book) End(a netip.Prefix) {
	if x := b.by[a]; x != nil {
		b.remove(x)
	}
}

// Renew begins the reaction to a anew; its end stays. It must be in the book.
func (b *Book) Renew(a netip.Prefix, since int64) { b.by[a].Since = since }

// Put books a reaction to a whatever the bound. There must be none to a.
func (b *Book) Put(a netip.Prefix, x Block) { b.insert(&entry{Block: x, source: a}) }

// Add books a reaction in place of an older one to the same source. At the limit, or at
// its network's share, another makes room: instead is its source. False means that all
// others are worthier.
func (b *Book) Add(a netip.Prefix, x Block, at int64, limit int) (instead netip.Prefix, ok bool) {
	if old := b.by[a]; old != nil {
		b.remove(old)
	}
	for i := range b.worth {
		for q := &b.worth[i]; len(*q) > 0 && at >= (*q)[0].Until; {
			b.remove((*q)[0])
		}
	}
	if y := b.leastWorthy(a, limit); y != nil {
		if x.Forgeable && !y.Forgeable {
			return netip.Prefix{}, false
		}
		instead = y.source
		b.remove(y)
	}
	b.Put(a, x)
	return instead, true
}

// leastWorthy returns the entry that makes room for a, nil if none needs to.
func (b *Book) leastWorthy(a netip.Prefix, limit int) *entry {
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

func (b *Book) insert(x *entry) {
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

func (b *Book) remove(x *entry) {
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
func (b *Book) queue(x *entry) *queue {
	if x.Forgeable {
		return &b.worth[0]
	}
	return &b.worth[1]
}

// A queue is a heap of entries, the one that ends first on top.
type queue []*entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].Until < q[j].Until }
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
