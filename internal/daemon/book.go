// SPDX-License-Identifier: MIT

package daemon

import (
	"container/heap"
	"iter"
	"maps"
	"net/netip"
	"sync/atomic"
	"time"

	"picket/internal/beside"
	"picket/internal/control"
	"picket/internal/event"
	"picket/nft"
)

// A book is the blocks that the kernel has acknowledged, and why each is there.
// It is the blocker's.
type book struct {
	by      map[netip.Prefix]*entry
	ends    endHeap
	changes uint64       // so far
	count   atomic.Int64 // how many blocks, for who asks from outside
}

// An entry is one block in the book.
type entry struct {
	beside.Block
	since time.Time
	until time.Time
	index int // in the heap
}

func newBook() *book { return &book{by: map[netip.Prefix]*entry{}} }

// get returns the block of a source, nil for none.
func (b *book) get(p netip.Prefix) *entry { return b.by[p] }

// has reports whether a source has a block.
func (b *book) has(p netip.Prefix) bool { return b.by[p] != nil }

// renews reports whether a response is one that the book has.
func (b *book) renews(r nft.Response, p netip.Prefix) bool { return r == nft.Blocked && b.has(p) }

// all returns the blocks. The one at hand may be struck meanwhile.
func (b *book) all() iter.Seq[*entry] { return maps.Values(b.by) }

// matching returns the block of a source, or all of them if it is not valid.
func (b *book) matching(p netip.Prefix) (list []*entry) {
	if !p.IsValid() {
		list = make([]*entry, 0, len(b.by))
		for e := range b.all() {
			list = append(list, e)
		}
	} else if e := b.get(p); e != nil {
		list = append(list, e)
	}
	return list
}

// enter books a block. One that the source has already lasts until then.
func (b *book) enter(p netip.Prefix, since, until time.Time, ev event.Event) *entry {
	e := b.by[p]
	if e == nil {
		e = &entry{Block: beside.Block{Source: p}, since: since, until: until}
		b.by[p] = e
		heap.Push(&b.ends, e)
		b.count.Store(int64(len(b.by)))
	}
	e.until, e.Event = until, ev
	heap.Fix(&b.ends, e.index)
	b.changes++
	return e
}

// strike takes a block out.
func (b *book) strike(e *entry) {
	heap.Remove(&b.ends, e.index)
	delete(b.by, e.Source)
	b.count.Store(int64(len(b.by)))
	b.changes++
}

// next returns the block that ends first, nil without any.
func (b *book) next() *entry {
	if len(b.ends) == 0 {
		return nil
	}
	return b.ends[0]
}

// within returns the block that p is a part of, nil for none.
func (b *book) within(p netip.Prefix) *entry {
	for bits := p.Bits() - 1; bits >= 0; bits-- {
		if e := b.by[netip.PrefixFrom(p.Addr(), bits).Masked()]; e != nil {
			return e
		}
	}
	return nil
}

// row tells of an entry as it is now, the kernel's counters being added by
// who asks.
func (e *entry) row(now time.Time) control.Block {
	ev := &e.Event
	return control.Block{
		Source: e.Source, Name: event.SourceName(e.Source), Expires: e.until, Since: e.since,
		Remaining: int64(max(0, e.until.Sub(now)+time.Second-1) / time.Second),
		Reason:    ev.Reason, Evidence: ev.Evidence, Pattern: ev.Pattern, Technique: ev.Technique, Proven: ev.Proven,
		Known: ev.Known, Country: ev.Country,
	}
}

// endHeap orders entries by when they end.
type endHeap []*entry

func (h endHeap) Len() int           { return len(h) }
func (h endHeap) Less(i, j int) bool { return h[i].until.Before(h[j].until) }
func (h endHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *endHeap) Push(x any) {
	e := x.(*entry)
	e.index = len(*h)
	*h = append(*h, e)
}

// Pop implements heap.Interface.
func (h *endHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return e
}
