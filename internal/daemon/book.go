// SPDX-License-Identifier: MIT

package daemon

import (
	"container/heap"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"picket/engine"
	"picket/internal/beside"
	"picket/internal/control"
	"picket/internal/event"
	"picket/internal/memory"
	"picket/nft"
)

// A ref names one response to one source: a source may be dark for a day and
// fenced for ten minutes.
type ref struct {
	response engine.Action // Dark, Fence or Block
	source   netip.Prefix
}

// responses are what the engine orders and the kernel knows, by both names.
var responses = [nft.Responses]engine.Action{nft.Blocked: engine.Block, nft.Fenced: engine.Fence, nft.Dark: engine.Dark}

// inKernel returns what the kernel is to do.
func (r ref) inKernel(left time.Duration) nft.Block {
	return nft.Block{Response: nft.Response(slices.Index(responses[:], r.response)), Source: r.source, For: left}
}

// refOf returns what the kernel does.
func refOf(b *nft.Block) ref { return ref{responses[b.Response], b.Source} }

// block returns what the kernel is to do for an entry.
func (e *entry) block(left time.Duration) nft.Block {
	b := e.ref().inKernel(left)
	b.Spare = e.spared
	return b
}

// noun is the response as sentences call it.
func (r ref) noun() string {
	if r.response == engine.Dark {
		return "darkness"
	}
	return r.response.String()
}

// A book is the responses that the kernel has acknowledged, and why each is there.
// It is the blocker's.
type book struct {
	by      map[ref]*entry
	ends    endHeap
	changes uint64       // so far
	count   atomic.Int64 // how many blocks, for who asks from outside
	ceiling memory.Ceiling
}

// An entry is one response in the book.
type entry struct {
	beside.Block
	response engine.Action
	since    time.Time
	until    time.Time
	index    int // in the heap
	drops    dropCount
	spared   bool // flows of its that lived when it was blocked go on
}

func (e *entry) ref() ref { return ref{e.response, e.Source} }

// proven reports whether the response rests on what cannot be forged, or on a
// person's word.
func (e *entry) proven() bool { return e.Event.Proven || e.Maker.Ordered() }

func newBook() *book { return &book{by: map[ref]*entry{}} }

// get returns a response to a source, nil for none.
func (b *book) get(r ref) *entry { return b.by[r] }

// has reports whether there is a response to a source.
func (b *book) has(r ref) bool { return b.by[r] != nil }

// renews reports whether the book has what the kernel is to do.
func (b *book) renews(r nft.Response, p netip.Prefix) bool { return b.has(ref{responses[r], p}) }

// all returns the blocks. The one at hand may be struck meanwhile.
func (b *book) all() iter.Seq[*entry] { return maps.Values(b.by) }

// matching returns the responses to a source, or all of them if it is not valid.
func (b *book) matching(p netip.Prefix) (list []*entry) {
	if !p.IsValid() {
		list = make([]*entry, 0, len(b.by))
		for e := range b.all() {
			list = append(list, e)
		}
		return list
	}
	for _, r := range responses {
		if e := b.get(ref{r, p}); e != nil {
			list = append(list, e)
		}
	}
	return list
}

// enter books a response. One that the source has already lasts until then.
func (b *book) enter(r ref, since, until time.Time, ev event.Event) *entry {
	e := b.by[r]
	if e == nil {
		e = &entry{Block: beside.Block{Source: r.source}, response: r.response, since: since, until: until}
		b.by[r] = e
		heap.Push(&b.ends, e)
		b.counted()
	}
	e.until, e.Event = until, ev
	heap.Fix(&b.ends, e.index)
	b.changes++
	return e
}

func (b *book) counted() {
	b.count.Store(int64(len(b.by)))
	b.ceiling.Fits(len(b.by))
}

// set follows a clock that was set: the remaining times stay what they are, since
// they are counted by a clock that nobody sets, as the kernel's are.
func (b *book) set(now time.Time) {
	for e := range b.all() {
		e.since, e.until = now.Add(e.since.Sub(now)), now.Add(e.until.Sub(now))
	}
	b.changes++
}

// strike takes a block out.
func (b *book) strike(e *entry) {
	heap.Remove(&b.ends, e.index)
	delete(b.by, e.ref())
	b.counted()
	b.changes++
}

// next returns the block that ends first, nil without any.
func (b *book) next() *entry {
	if len(b.ends) == 0 {
		return nil
	}
	return b.ends[0]
}

// dropped notes what the kernel has counted.
func (b *book) dropped(list []nft.Block) {
	counters := make(map[ref]uint64, len(list))
	for i := range list {
		counters[refOf(&list[i])] += list[i].Drops
	}
	for r, n := range counters {
		if e := b.get(r); e != nil {
			e.drops.read(n)
		}
	}
}

// within returns the block that p is a part of, nil for none.
func (b *book) within(p netip.Prefix) *entry {
	for bits := p.Bits() - 1; bits >= 0; bits-- {
		if list := b.matching(netip.PrefixFrom(p.Addr(), bits).Masked()); len(list) > 0 {
			return list[0]
		}
	}
	return nil
}

// row tells of an entry as it is now, the kernel's counters being added by
// who asks.
func (e *entry) row(now time.Time) control.Block {
	return control.BlockOf(&e.Event, e.Source, e.response.String(), e.since, e.until).At(now)
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
