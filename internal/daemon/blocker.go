// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"picket/engine"
	"picket/internal/beside"
	"picket/internal/config"
	"picket/internal/event"
	"picket/internal/journal"
	"picket/internal/ledger"
	"picket/internal/machine"
	"picket/nft"
)

// A blocker owns the table and the book of blocks. Everything that touches
// either comes through its orders, in their order, and is done by one goroutine.
type blocker struct {
	orders  *orders
	table   machine.Table
	book    *ledger.Book
	config  *config.Config
	wanted  *nft.Elements // what the sets must hold
	actions *beside.Set
	journal *journal.Writer
	queued  uint16              // the NFQUEUE that packets are led to, 0 for none
	lost    func(...ledger.Ref) // tells the judge of responses that are not in force
	waiting map[netip.Prefix]*blockWork
	doubted []*blockWork   // that wait until it is known who is connected
	recent  []netip.Prefix // unproven blocks since the look before the last
	looked  time.Time      // when it was last asked who is connected
	bells   bells
	speed   speed
}

// A blockWork is a source to respond to and the event that tells of it.
type blockWork struct {
	ledger.Ref
	length time.Duration
	event  event.Event
	seen   time.Time // when the kernel saw the probe; zero for a block by hand
	renew  bool      // the kernel lost it: not news, and not a further offence
	maker  event.Maker

	address   netip.Addr // that was seen, if the source is a prefix
	commanded bool       // the command has run
	untold    bool       // it is told of with others
	doubted   time.Time  // since when it waits, or did, see doubt
	visit     *visit     // that led to it and waits for it; nil for none
}

// tellEach is how many blocks ended by one command are told one by one.
const tellEach = 100

// batch is how many sources one transaction takes at most.
const batch = 500

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

// work does w and what else has queued up behind it, blocks and releases in
// one transaction each.
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
	blocks = slices.DeleteFunc(blocks, func(w *blockWork) bool { return b.doubt(w) || b.before(w) })
	if len(blocks) > 0 {
		b.commitBlocks(blocks)
	}
	if len(releases) > 0 {
		if err := b.table.Release(releases); err != nil {
			b.journal.Notice("", "%v", err)
		}
	}
}

// before has the command run ahead of the block, if that is what is wanted; the
// block waits for it then.
func (b *blocker) before(w *blockWork) bool {
	block := beside.Block{Source: w.Source, Event: w.event, Maker: w.maker}
	switch {
	case w.commanded, w.Response != engine.Block:
		return false
	case b.waiting[w.Source] != nil:
		return true // its packets still come because its command still runs
	case w.renew, !b.actions.Before(&block, func() { b.orders.commandEnded(w) }):
		return false // without a command too if there is no room for one, which is told
	}
	b.waiting[w.Source] = w
	return true
}

// resumed returns a block whose command has ended, nil if it was called off.
func (b *blocker) resumed(w *blockWork) *blockWork {
	if b.waiting[w.Source] != w {
		return nil
	}
	delete(b.waiting, w.Source)
	w.commanded, w.seen = true, time.Time{} // the time it took says nothing about the kernel
	return w
}

// commitBlocks blocks all or, if the kernel refuses, one by one: one bad
// element fails the batch it is in.
func (b *blocker) commitBlocks(blocks []*blockWork) {
	batch := make([]nft.Block, len(blocks))
	for i, w := range blocks {
		batch[i] = w.InKernel(w.length)
		batch[i].Spare = b.spares(w)
		batch[i].Held = w.Response != engine.Dark
	}
	err := b.table.Block(batch, b.book.Renews)
	if err == nil {
		now := time.Now()
		for _, w := range blocks {
			b.blocked(w, now)
		}
		return
	}
	for i, w := range blocks {
		if len(blocks) > 1 {
			err = b.table.Block(batch[i:i+1], b.book.Renews)
		}
		if err == nil {
			b.blocked(w, time.Now())
			continue
		}
		b.lost(w.Ref)
		b.journal.Notice("", "could not %s %s: %v", w.Verb(), w.Source, err)
	}
}

// blocked books a block that the kernel has acknowledged, and tells of it.
func (b *blocker) blocked(w *blockWork, now time.Time) {
	w.turnAway(now)
	ev, maker := w.event, w.maker
	if old := b.book.Get(w.Ref); w.renew && old != nil {
		ev, maker = old.Event(), old.Maker // why it was blocked, not how its loss was noticed
	}
	e := b.book.Enter(w.Ref, now, now.Add(w.length), ev)
	if e.Spared = b.spares(w); e.Spared {
		b.bells.flows.Ring()
	}
	e.Maker, e.Commanded = maker, e.Commanded || w.commanded
	if w.Response == engine.Block {
		b.standBeside(e, beside.Block{Event: ev, Address: w.address, Renewed: w.renew})
	}
	if !w.seen.IsZero() {
		b.speed.add(now.Sub(w.seen))
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

// standBeside hands a block over to what stands beside it, with the whole event, of
// which the book keeps the most.
func (b *blocker) standBeside(e *ledger.Entry, block beside.Block) {
	block.Source, block.Maker, block.Commanded = e.Source, e.Maker, e.Commanded
	b.actions.Blocked(&block)
	e.Commanded = block.Commanded
}

// expire tells of the responses that have ended: the kernel ends them in silence.
// What was counted on the way to one that may rest on forged packets goes with it,
// so that the next takes as many again.
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

// unblock ends a block, or every one if p is not valid, and returns how many it
// ended, those included that were still to be made.
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

// endOne ends one response to a source, and leaves others to it.
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

// callOff calls off the blocks of some sources that wait, for a look at the
// sockets or for their command, and returns how many these were.
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

// end tells of a block that has ended and undoes what was done beside it.
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

// restore books blocks of an earlier run, and puts them into the kernel if it has
// lost them. It returns those that are booked: not who is blocked already, by
// what was seen since, and nobody if the kernel refuses, which is told.
func (b *blocker) restore(list []ledger.Kept, lost bool) []ledger.Kept {
	list = slices.DeleteFunc(list, func(k ledger.Kept) bool { return b.book.Has(k.Ref()) })
	if lost {
		blocks := make([]nft.Block, len(list))
		for i, k := range list {
			blocks[i] = k.Ref().InKernel(time.Until(k.Until))
		}
		if err := b.table.Block(blocks, b.book.Renews); err != nil {
			b.journal.Notice("", "%d blocks of an earlier run could not be put back: %v", len(list), err)
			return nil
		}
	}
	for _, k := range list {
		e := b.book.Enter(k.Ref(), k.Since, k.Until, k.Event())
		e.Maker, e.Commanded = k.Maker, k.Commanded
	}
	return list
}

// reconfigure puts a configuration into force: what the sets must hold, and who
// is not blocked any more. A friend that is blocked is freed; of a network that
// is, the rules let it in.
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
