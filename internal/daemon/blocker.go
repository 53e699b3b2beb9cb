// SPDX-License-Identifier: MIT

package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"picket/engine"
	"picket/internal/beside"
	"picket/internal/config"
	"picket/internal/control"
	"picket/internal/event"
	"picket/internal/journal"
	"picket/internal/ledger"
	"picket/internal/machine"
	"picket/nft"
)

// A blocker owns the table and the book of blocks. One goroutine does everything to both, one
// order after the other.
type blocker struct {
	orders  *orders
	table   machine.Table
	book    *ledger.Book
	config  *config.Config
	wanted  *nft.Elements // the contents of the sets
	actions *beside.Set
	journal *journal.Writer
	queued  uint16              // the NFQUEUE of the inline verdict, 0 for none
	lost    func(...ledger.Ref) // makes the judge forget responses
	waiting map[netip.Prefix]*blockWork
	doubted []*blockWork   // blocks that wait for a look at who is connected
	whole   []netip.Prefix // blocks that end all flows, since takeWhole
	recent  []netip.Prefix // unproven blocks since the look before the last
	looked  time.Time      // the last look at who is connected
	bells   bells
	speed   control.Speed
}

// A blockWork is a response to make, and its event.
type blockWork struct {
	ledger.Ref
	length time.Duration
	event  event.Event
	seen   time.Time // by the kernel; zero for a block by hand
	renew  bool      // the kernel had lost it: no news, no further offence
	maker  event.Maker

	address   netip.Addr // of the packet, if the source is a prefix
	commanded bool       // the command has run
	untold    bool       // one event covers it and others
	doubted   time.Time  // when it began to wait, see doubt
	visit     *visit     // waits for it; nil for none
}

const (
	tellEach = 100 // blocks of one command have an event each
	batch    = 500 // sources are the most in one transaction
)

func newBlocker(
	t machine.Table, o *orders, c *config.Config, a *beside.Set, j *journal.Writer, lost func(...ledger.Ref),
	bells bells,
) *blocker {
	return &blocker{
		orders: o, table: t, book: o.book, config: c, journal: j, lost: lost,
		actions: a, waiting: map[netip.Prefix]*blockWork{}, bells: bells, looked: time.Now(),
	}
}

// run works until ctx ends.
func (b *blocker) run(ctx context.Context) error {
	defer close(b.orders.ended)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var changes uint64
	for {
		if e := b.book.Next(); e != nil {
			timer.Reset(time.Until(e.Until))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
			b.expire(time.Now())
		case w := <-b.orders.queue:
			b.work(w)
		}
		if n := b.book.Changes(); n != changes {
			changes = n
			b.bells.state.Ring()
			b.bells.drops.Ring()
		}
	}
}

// work does w and the orders behind it: blocks in one transaction, releases in another.
func (b *blocker) work(w work) {
	var blocks []*blockWork
	var releases []netip.Addr
	for {
		switch {
		case w.block != nil:
			blocks = append(blocks, w.block)
		case w.commanded != nil:
			if w := b.resumed(w.commanded); w != nil {
				blocks = append(blocks, w)
			}
		case w.release.IsValid():
			releases = append(releases, w.release)
		default:
			b.commit(blocks, releases)
			blocks, releases = nil, nil
			w.do(b)
		}
		if len(blocks)+len(releases) >= batch {
			break
		}
		select {
		case w = <-b.orders.queue:
			continue
		default:
		}
		break
	}
	b.commit(blocks, releases)
}

func (b *blocker) commit(blocks []*blockWork, releases []netip.Addr) {
	not := func(w *blockWork) bool { return b.moot(w) || b.doubt(w) || b.before(w) }
	blocks = slices.DeleteFunc(blocks, not)
	if len(blocks) > 0 {
		b.commitBlocks(blocks)
	}
	if len(releases) > 0 {
		if err := b.table.Release(releases); err != nil {
			b.journal.Notice("", "%v", err)
		}
	}
}

// moot reports whether a block comes too late: it renews one that was ended since its packet came, or
// a longer one is in force. One that renews gets the reason of before, not how its loss was noticed.
func (b *blocker) moot(w *blockWork) bool {
	switch old := b.book.Get(w.Ref); {
	case old == nil && w.renew && b.waiting[w.Source] == nil && !b.doubts(w):
		b.lost(w.Ref)
		return true
	case old != nil && w.renew:
		w.event, w.maker = old.Event(), old.Maker
	case old != nil && old.Until.After(time.Now().Add(w.length)):
		old.Commanded = old.Commanded || w.commanded
		w.turnAway(time.Now())
		return true
	}
	return false
}

// before runs the command ahead of the block if the configuration says so, and reports whether
// the block waits for it.
func (b *blocker) before(w *blockWork) bool {
	block := beside.Block{Source: w.Source, Event: w.event, Maker: w.maker}
	switch {
	case w.commanded, w.Response != engine.Block:
		return false
	case b.waiting[w.Source] != nil:
		return true // its command still runs, and packets still arrive
	case w.renew, !b.actions.Before(&block, func() { b.orders.commandEnded(w) }):
		return false // the queue of commands may be full: the action reports it
	}
	b.waiting[w.Source] = w
	return true
}

// resumed returns the block after its command, or nil if the block was called off.
func (b *blocker) resumed(w *blockWork) *blockWork {
	if b.waiting[w.Source] != w {
		return nil
	}
	delete(b.waiting, w.Source)
	w.commanded, w.seen = true, time.Time{} // the time was the command's, not the kernel's
	return w
}

// commitBlocks makes blocks, and says which failed.
func (b *blocker) commitBlocks(blocks []*blockWork) {
	batch := make([]nft.Block, len(blocks))
	for i, w := range blocks {
		batch[i] = w.InKernel(w.length)
		batch[i].Spare = b.spares(w)
		batch[i].Held = w.Response != engine.Dark
	}
	wrong, now := b.put(batch), time.Now()
	for i, w := range blocks {
		if wrong[i] == nil {
			b.blocked(w, now)
			continue
		}
		b.lost(w.Ref)
		b.journal.Notice("", "could not %s %s: %v", w.Verb(), w.Source, wrong[i])
	}
}

// put makes blocks in one transaction, and returns an error or nil for each. One bad element fails it; the
// blocks are then made one by one. A failure costs the kernel 16 ms, for which it makes 500 blocks: without
// the table, or the right to it, none is tried again, and halves would take longer.
func (b *blocker) put(blocks []nft.Block) []error {
	err := b.table.Block(blocks, b.book.Renews)
	wrong := slices.Repeat([]error{err}, len(blocks))
	gone := errors.Is(err, unix.ENOENT) || errors.Is(err, nft.ErrPermission)
	if err != nil && !gone && len(blocks) > 1 {
		for i := range blocks { // a source that comes twice is renewed
			wrong[i] = b.table.Block(blocks[i:i+1], func(nft.Response, netip.Prefix) bool { return true })
		}
	}
	return wrong
}

// blocked books a block that the kernel has acknowledged, and writes its event.
func (b *blocker) blocked(w *blockWork, now time.Time) {
	w.turnAway(now)
	ev, maker := w.event, w.maker
	e := b.book.Enter(w.Ref, now, now.Add(w.length), ev)
	if e.Spared = b.spares(w); w.Response == engine.Block {
		if !e.Spared {
			b.whole = append(b.whole, w.Source)
		}
		b.bells.flows.Ring()
	}
	e.Maker, e.Commanded = maker, e.Commanded || w.commanded
	if w.Response == engine.Block {
		b.standBeside(e, beside.Block{Event: ev, Address: w.address, Renewed: w.renew})
	}
	if !w.seen.IsZero() {
		b.speed.Add(now.Sub(w.seen))
	}
	if w.renew {
		b.journal.Notice("", "blocked %s again: its packets arrived although it was blocked", w.Source)
		return
	}
	if !w.untold {
		b.journal.Event(ev)
	}
	if w.Response == engine.Block && !ev.Proven && !maker.Ordered() {
		b.recent = append(b.recent, w.Source)
		b.bells.peers.Ring()
	}
}

// standBeside hands a block to the actions, with its whole event. The book has only most of it.
func (b *blocker) standBeside(e *ledger.Entry, block beside.Block) {
	block.Source, block.Maker, block.Commanded = e.Source, e.Maker, e.Commanded
	b.actions.Blocked(&block)
	e.Commanded = block.Commanded
}

// expire strikes the responses whose time is over: the kernel ends them in silence. An unproven
// one may rest on forged packets, so its counts end with it, and the next response takes as
// many packets again.
func (b *blocker) expire(now time.Time) {
	var forget []netip.Prefix
	for e := b.book.Next(); e != nil && !e.Until.After(now); e = b.book.Next() {
		b.book.Strike(e)
		b.end(e, "expire", "the "+e.Ref().Noun()+" has ended", now, true)
		if !e.Proven() && e.Response != engine.Dark {
			forget = append(forget, e.Source)
		}
	}
	for part := range slices.Chunk(forget, batch) {
		if err := b.table.Forget(part); err != nil {
			b.journal.Notice("", "%v", err)
		}
	}
}

// unblock ends the responses to a source, or all of them if p is not valid. It returns
// their number; blocks that were still to be made count.
func (b *blocker) unblock(p netip.Prefix, reason string) (n int, err error) {
	list := b.book.Matching(p)
	ended := make([]ledger.Ref, len(list))
	for i, e := range list {
		ended[i] = e.Ref()
	}
	if p.IsValid() {
		err = b.table.Unblock(p)
	} else {
		err = b.table.UnblockAll()
	}
	if err != nil {
		return 0, err
	}
	b.lost(ended...) // before their next probes are judged
	now := time.Now()
	var drops uint64
	for _, e := range list {
		drops += e.Drops()
		b.book.Strike(e)
		b.end(e, "unblock", reason, now, len(list) <= tellEach)
	}
	if len(list) > tellEach {
		reason = fmt.Sprintf("%d sources, %s", len(list), reason)
		b.journal.Event(event.Event{Event: "unblock", Time: now, Action: "none", Reason: reason,
			Drops: drops})
	}
	return len(list) + b.callOff(func(w netip.Prefix) bool { return !p.IsValid() || w == p }), nil
}

// endOne ends one response to a source. Its other responses stay.
func (b *blocker) endOne(r ledger.Ref, reason string) error {
	e := b.book.Get(r)
	if e == nil {
		return nil
	}
	if err := b.table.End(r.InKernel(0).Response, r.Source); err != nil {
		return err
	}
	b.lost(r)
	b.book.Strike(e)
	b.end(e, "unblock", reason, time.Now(), true)
	return nil
}

// callOff calls off the waiting blocks of some sources, and returns their number. A block waits
// for a look at the sockets or for its command.
func (b *blocker) callOff(of func(netip.Prefix) bool) int {
	var off []ledger.Ref
	b.doubted = slices.DeleteFunc(b.doubted, func(w *blockWork) bool {
		if of(w.Source) {
			off = append(off, w.Ref)
			return true
		}
		return false
	})
	for p := range b.waiting {
		if of(p) {
			off = append(off, ledger.Ref{Response: engine.Block, Source: p})
			delete(b.waiting, p)
		}
	}
	b.lost(off...)
	return len(off)
}

// end writes the event of a response that has ended, and undoes what stood beside it.
func (b *blocker) end(e *ledger.Entry, how, reason string, at time.Time, tell bool) {
	was := e.Event()
	ev := event.Event{
		Event: how, Time: at, Source: event.SourceName(e.Source), Action: "none", Reason: reason,
		Protocol: was.Protocol, Port: was.Port, Mode: was.Mode, Technique: was.Technique,
		Pattern: was.Pattern, Tool: was.Tool, Proven: was.Proven, Known: was.Known,
		Drops: e.Drops(), Response: e.Response.String(),
	}
	b.config.Locate(&ev, e.Source.Addr())
	if e.Response == engine.Block {
		block := e.Block()
		b.actions.Ended(&block, ev)
	}
	if tell {
		b.journal.Event(ev)
	}
}

// restore books responses of an earlier run, and puts them into a kernel that has lost them. It
// returns the booked ones. A source with a newer response keeps that one. What the kernel refuses
// is not booked, and the journal says so.
func (b *blocker) restore(list []ledger.Saved, lost bool) (made []inForce) {
	list = slices.DeleteFunc(list, func(k ledger.Saved) bool { return b.book.Has(k.Ref()) })
	wrong := make([]error, len(list))
	if lost {
		blocks := make([]nft.Block, len(list))
		for i, k := range list {
			blocks[i] = k.Ref().InKernel(time.Until(k.Until))
		}
		wrong = b.put(blocks)
	}
	for i, k := range list {
		if wrong[i] == nil {
			e := b.book.Enter(k.Ref(), k.Since, k.Until, k.Event())
			e.Maker, e.Commanded = k.Maker, k.Commanded
			made = append(made, inForce{e.Ref(), k.Since, k.Until})
		}
	}
	if n := len(list) - len(made); n > 0 {
		b.journal.Notice("", "%d blocks of an earlier run could not be put back: %v", n, cmp.Or(wrong...))
	}
	return made
}

// reconfigure puts a configuration into force: it fills the sets and frees blocked
// friends. A friend inside a blocked network needs nothing: the rules let it in.
func (b *blocker) reconfigure(c *config.Config, els *nft.Elements, rules *engine.Config) error {
	b.config, b.wanted = c, els
	if err := b.table.Fill(els); err != nil {
		return err
	}
	b.callOff(rules.Spared)
	for e := range b.book.All() {
		if !rules.Protected.Covers(e.Source) && (e.Maker.Ordered() || !rules.Spared(e.Source)) {
			continue
		}
		if _, err := b.unblock(e.Source, "the address is protected now, or of a list "+
			"that is not blocked"); err != nil {
			return err
		}
	}
	return nil
}
