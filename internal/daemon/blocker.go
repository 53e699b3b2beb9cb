// SPDX-License-Identifier: MIT

package daemon

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"picket/internal/control"
	"picket/internal/event"
	"picket/internal/journal"
	"picket/nft"
)

// A blocker owns the table and the book of blocks: what the kernel has
// acknowledged, and why it is there. Everything that touches either goes
// through its queue, in order, and is done by one goroutine.
type blocker struct {
	table   *nft.Table
	journal *journal.Writer
	queue   chan work
	book    map[netip.Prefix]*entry
	ends    endHeap
	lost    func(netip.Prefix) // tells the engine that a source is not blocked
	wanted  *nft.Elements      // what the sets must hold
	actions *actions           // what is done beside a block
	count   atomic.Int64       // len(book), for who asks from outside
	changes uint64             // of the book, so far
	doubted []*blockWork       // that wait until it is known who is connected
	recent  []netip.Prefix     // unproven blocks since the look before the last
	look    chan struct{}      // asks who is connected
	speed   speed
}

// work is one thing to do; exactly one field is set.
type work struct {
	block   *blockWork
	release netip.Addr
	do      func() // anything rarer
}

// A blockWork is a source to block and the event that tells of it.
type blockWork struct {
	source netip.Prefix
	length time.Duration
	event  event.Event
	seen   time.Time // when the kernel saw the probe; zero for a block by hand
	renew  bool      // the kernel lost it: not news, and not a further offence

	address   netip.Addr // that was seen, if the source is a prefix
	commanded bool       // the command has run
	doubted   time.Time  // since when it waits, or did, see doubt
}

// An entry is one block in the book.
type entry struct {
	source netip.Prefix
	since  time.Time
	until  time.Time
	event  event.Event
	index  int // in the heap

	routed    bool // an earlier run had a route for it
	commanded bool // the command has run for it
}

// queueLength is how much may wait for the kernel. Blocking takes some 20 µs.
const queueLength = 8192

// tellEach is how many blocks ended by one command are told one by one.
const tellEach = 100

// batch is how many sources one transaction takes at most.
const batch = 500

func newBlocker(table *nft.Table, j *journal.Writer, lost func(netip.Prefix)) *blocker {
	return &blocker{table: table, journal: j, queue: make(chan work, queueLength), book: map[netip.Prefix]*entry{}, lost: lost, look: make(chan struct{}, 1)}
}

// block queues a block; false means that the queue is full. It never waits.
func (b *blocker) block(w *blockWork) bool { return b.put(work{block: w}) }

// release queues the release of a held source. If the queue is full, the hold
// ends by itself.
func (b *blocker) release(a netip.Addr) { b.put(work{release: a}) }

func (b *blocker) put(w work) bool {
	select {
	case b.queue <- w:
		return true
	default:
		return false
	}
}

// call has f run by the owner and waits for it.
func (b *blocker) call(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	select {
	case b.queue <- work{do: func() { done <- f() }}:
	case <-ctx.Done():
		return errStopping
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return errStopping
	}
}

var errStopping = errors.New("picket is stopping")

// run works until ctx ends.
func (b *blocker) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if len(b.ends) > 0 {
			timer.Reset(time.Until(b.ends[0].until))
		}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			b.expire(time.Now())
		case w := <-b.queue:
			b.work(w)
		}
	}
}

// work does w and what else has queued up behind it, blocks and releases in
// one transaction each.
func (b *blocker) work(w work) {
	var blocks []*blockWork
	var releases []netip.Addr
	for {
		switch {
		case w.block != nil:
			blocks = append(blocks, w.block)
		case w.release.IsValid():
			releases = append(releases, w.release)
		default:
			b.commit(blocks, releases)
			blocks, releases = nil, nil
			w.do()
		}
		if len(blocks)+len(releases) >= batch {
			break
		}
		select {
		case w = <-b.queue:
			continue
		default:
		}
		break
	}
	b.commit(blocks, releases)
}

func (b *blocker) commit(blocks []*blockWork, releases []netip.Addr) {
	blocks = slices.DeleteFunc(blocks, func(w *blockWork) bool { return b.doubt(w) || b.actions.before(w) })
	if len(blocks) > 0 {
		b.commitBlocks(blocks)
	}
	if len(releases) > 0 {
		if err := b.table.Release(releases); err != nil {
			b.journal.Notice("", "%v", err)
		}
	}
}

// commitBlocks blocks all or, if the kernel refuses, one by one: one bad
// element fails the batch it is in.
func (b *blocker) commitBlocks(blocks []*blockWork) {
	batch := make([]nft.Block, len(blocks))
	for i, w := range blocks {
		batch[i] = nft.Block{Source: w.source, For: w.length, Held: true}
	}
	err := b.table.Block(batch, b.known)
	if err == nil {
		now := time.Now()
		for _, w := range blocks {
			b.blocked(w, now)
		}
		return
	}
	for i, w := range blocks {
		if len(blocks) > 1 {
			err = b.table.Block(batch[i:i+1], b.known)
		}
		if err == nil {
			b.blocked(w, time.Now())
			continue
		}
		b.lost(w.source)
		b.journal.Notice("", "could not block %s: %v", w.source, err)
	}
}

func (b *blocker) known(p netip.Prefix) bool { return b.book[p] != nil }

// blocked books a block that the kernel has acknowledged, and tells of it.
func (b *blocker) blocked(w *blockWork, now time.Time) {
	ev := w.event
	if old := b.book[w.source]; w.renew && old != nil {
		ev = old.event // why it was blocked, not how its loss was noticed
	}
	e := b.enter(w.source, now, now.Add(w.length), ev)
	b.actions.blocked(e, w)
	if !w.seen.IsZero() {
		b.speed.add(now.Sub(w.seen))
	}
	if w.renew {
		b.journal.Notice("", "blocked %s again: its packets arrived although it was blocked", w.source)
		return
	}
	b.journal.Event(e.event)
	if !ev.Proven && !byHand(&ev) {
		b.recent = append(b.recent, w.source)
	}
}

func (b *blocker) enter(p netip.Prefix, since, until time.Time, ev event.Event) *entry {
	e := b.book[p]
	if e == nil {
		e = &entry{source: p, since: since}
		b.book[p] = e
		e.until = until
		heap.Push(&b.ends, e)
		b.count.Store(int64(len(b.book)))
	}
	e.until, e.event = until, ev
	heap.Fix(&b.ends, e.index)
	b.changes++
	return e
}

func (b *blocker) strike(e *entry) {
	heap.Remove(&b.ends, e.index)
	delete(b.book, e.source)
	b.count.Store(int64(len(b.book)))
	b.changes++
}

// kept returns the book as the state file keeps it.
func (b *blocker) kept() []keptBlock {
	out := make([]keptBlock, 0, len(b.book))
	for _, e := range b.book {
		out = append(out, keep(e))
	}
	return out
}

// expire tells of the blocks that have ended: the kernel ends them in silence.
func (b *blocker) expire(now time.Time) {
	for len(b.ends) > 0 && !b.ends[0].until.After(now) {
		e := b.ends[0]
		b.strike(e)
		b.end(e, "expire", "the block has ended", now, true)
	}
}

// unblock ends a block, or every one if p is not valid, and returns how many it ended.
func (b *blocker) unblock(p netip.Prefix, reason string) (n int, err error) {
	var list []*entry
	if p.IsValid() {
		if err := b.table.Unblock(p); err != nil {
			return 0, err
		}
		if e := b.book[p]; e != nil {
			list = append(list, e)
		}
	} else {
		if err := b.table.UnblockAll(); err != nil {
			return 0, err
		}
		for _, e := range b.book {
			list = append(list, e)
		}
	}
	for _, e := range list {
		b.strike(e)
		b.lost(e.source)
		b.end(e, "unblock", reason, time.Now(), len(list) <= tellEach)
	}
	if len(list) > tellEach {
		b.journal.Event(event.Event{Event: "unblock", Time: time.Now(), Action: "none", Reason: fmt.Sprintf("%d sources, %s", len(list), reason)})
	}
	return len(list) + b.callOff(func(w netip.Prefix) bool { return !p.IsValid() || w == p }), nil
}

// callOff calls off the blocks for which which holds and that wait, for a look
// at the sockets or for their command, and returns how many these are.
func (b *blocker) callOff(which func(netip.Prefix) bool) int {
	return b.undoubt(which) + b.actions.forget(which)
}

// end tells of a block that has ended and undoes what was done beside it.
func (b *blocker) end(e *entry, how, reason string, at time.Time, tell bool) {
	was := &e.event
	ev := event.Event{
		Event: how, Time: at, Source: event.SourceName(e.source), Protocol: was.Protocol, Port: was.Port, Mode: was.Mode,
		Technique: was.Technique, Pattern: was.Pattern, Tool: was.Tool, Proven: was.Proven, Action: "none", Reason: reason,
		Known: was.Known,
	}
	b.actions.set.Load().Locate(&ev, e.source.Addr())
	b.actions.ended(e, ev)
	if tell {
		b.journal.Event(ev)
	}
}

// restore books the blocks of an earlier run.
func (b *blocker) restore(list []keptBlock) {
	for _, k := range list {
		b.enter(k.Source, k.Since, k.Until, k.event()).commanded = k.Commanded
	}
}

// list returns the book.
func (b *blocker) list(now time.Time) []control.Block {
	out := make([]control.Block, 0, len(b.book))
	for _, e := range b.book {
		out = append(out, e.block(now))
	}
	return out
}

// block tells of an entry as it is now, the kernel's counters being added by
// who asks.
func (e *entry) block(now time.Time) control.Block {
	return control.Block{
		Source: e.source, Name: event.SourceName(e.source), Expires: e.until, Since: e.since, Reason: e.event.Reason, Evidence: e.event.Evidence,
		Remaining: int64(max(0, e.until.Sub(now)+time.Second-1) / time.Second),
		Pattern:   e.event.Pattern, Technique: e.event.Technique, Proven: e.event.Proven, Known: e.event.Known, Country: e.event.Country,
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

// speed remembers how long the last blocks took.
type speed struct {
	last [1024]time.Duration
	n    int
}

func (s *speed) add(d time.Duration) {
	s.last[s.n%len(s.last)] = d
	s.n++
}

func (s *speed) summary() control.Reaction {
	n := min(s.n, len(s.last))
	if n == 0 {
		return control.Reaction{}
	}
	d := slices.Clone(s.last[:n])
	slices.Sort(d)
	return control.Reaction{Count: n, P50: d[n/2].Microseconds(), P99: d[n*99/100].Microseconds()}
}

// refuseFriend says why p must not be blocked, or nil.
func refuseFriend(p netip.Prefix, why string) error {
	return fmt.Errorf("%s must not be blocked: %s. To block it all the same, change [ignore] in the configuration", event.SourceName(p), why)
}
