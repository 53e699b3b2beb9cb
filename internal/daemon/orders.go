// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"picket/engine"
	"picket/internal/beside"
	"picket/internal/config"
	"picket/internal/control"
	"picket/internal/event"
	"picket/internal/explain"
	"picket/internal/ledger"
	"picket/nft"
)

// Orders are what others want of the blocker: its door. Any goroutine may give
// them; they are done in their order.
type orders struct {
	queue chan work
	ended chan struct{} // closed when the blocker has ended
	look  chan struct{} // asks who is connected
	book  *ledger.Book  // only for how many blocks there are
}

// work is one thing to do; exactly one field is set.
type work struct {
	block     *blockWork
	commanded *blockWork // its command has ended
	release   netip.Addr
	do        func(*blocker) // anything rarer, see ask
}

// queueLength is how much may wait for the kernel. Blocking takes some 20 µs.
const queueLength = 8192

func newOrders() *orders {
	return &orders{
		queue: make(chan work, queueLength), ended: make(chan struct{}), look: make(chan struct{}, 1),
		book: ledger.New(),
	}
}

// blocks returns how many blocks are in force.
func (o *orders) blocks() int { return o.book.Len() }

// block queues a block; false means that the queue is full. It never waits.
func (o *orders) block(w *blockWork) bool { return o.offer(work{block: w}) }

// makeRoom queues the end of a block in whose place another comes. If the queue is
// full, the kernel's set may be too, and says so.
func (o *orders) makeRoom(old ledger.Ref, next netip.Prefix) {
	o.offer(work{do: func(b *blocker) {
		why := "it makes room for " + event.SourceName(next) + ", with as many blocks as configured"
		if err := b.endOne(old, why); err != nil {
			b.journal.Notice("", "%v", err)
		}
	}})
}

// release queues the release of a held source. If the queue is full, the hold
// ends by itself.
func (o *orders) release(a netip.Addr) { o.offer(work{release: a}) }

func (o *orders) offer(w work) bool {
	select {
	case o.queue <- w:
		return true
	default:
		return false
	}
}

// commandEnded has a block made that waited for its command.
func (o *orders) commandEnded(w *blockWork) {
	select {
	case o.queue <- work{commanded: w}:
	case <-o.ended:
	}
}

func (o *orders) put(ctx context.Context, f func(*blocker)) bool {
	select {
	case o.queue <- work{do: f}:
		return true
	case <-ctx.Done():
		return false
	}
}

// do has the blocker do something that may fail.
func (o *orders) do(ctx context.Context, f func(*blocker) error) error {
	_, err := ask(ctx, o.put, func(b *blocker) (none, error) { return none{}, f(b) })
	return err
}

// bySince returns the blocks of the book, each of which is the blocker's to read,
// with when it was made.
func (o *orders) bySince(ctx context.Context) ([]ledger.Dated, error) {
	return ask(ctx, o.put, func(b *blocker) ([]ledger.Dated, error) { return b.book.BySince(), nil })
}

// rows tells of those of a list that are in force still.
func (o *orders) rows(ctx context.Context, list []ledger.Dated) (rows ledger.Rows, err error) {
	return ask(ctx, o.put, func(b *blocker) (ledger.Rows, error) {
		return b.book.Rows(list, time.Now()), nil
	})
}

// dropped notes what the kernel has counted of the blocks.
func (o *orders) dropped(ctx context.Context, list []nft.Block) error {
	return o.do(ctx, func(b *blocker) error { b.book.Dropped(list); return nil })
}

// reaction returns how long the last blocks took.
func (o *orders) reaction(ctx context.Context) (control.Reaction, error) {
	return ask(ctx, o.put, func(b *blocker) (control.Reaction, error) { return b.speed.summary(), nil })
}

// Which implements [beside.Book].
func (o *orders) Which(ctx context.Context, ok func(*beside.Block) bool) ([]netip.Prefix, error) {
	return ask(ctx, o.put, func(b *blocker) (out []netip.Prefix, err error) {
		var block beside.Block
		for e := range b.book.All() {
			if e.Response != engine.Block {
				continue
			}
			if block = e.Block(); ok(&block) {
				out = append(out, e.Source)
			}
		}
		return out, nil
	})
}

// byHand makes blocks that a person ordered, from now on.
func (o *orders) byHand(ctx context.Context, list []*handWork, now time.Time) error {
	return o.do(ctx, func(b *blocker) error { b.byHand(list, now); return nil })
}

// unblock ends blocks for a person, and returns what is wrong with each.
func (o *orders) unblock(ctx context.Context, list []netip.Prefix) ([]error, error) {
	return ask(ctx, o.put, func(b *blocker) ([]error, error) { return b.unblockByHand(list), nil })
}

// unblockAll ends every block for a person, and returns which there were.
func (o *orders) unblockAll(ctx context.Context) ([]netip.Prefix, error) {
	return ask(ctx, o.put, func(b *blocker) ([]netip.Prefix, error) { return b.unblockAll() })
}

// rollBack ends the responses that which is true of, and returns how many.
func (o *orders) rollBack(ctx context.Context, which func(*beside.Block) bool, reason string) (int, error) {
	return ask(ctx, o.put, func(b *blocker) (n int, err error) {
		for _, e := range b.book.Entries() {
			if block := e.Block(); !which(&block) {
				continue
			}
			if err := b.endOne(e.Ref(), reason); err != nil {
				return n, err
			}
			n++
		}
		return n, nil
	})
}

// reconfigure puts a configuration into force.
func (o *orders) reconfigure(
	ctx context.Context, c *config.Config, els *nft.Elements, rules *engine.Config,
) error {
	return o.do(ctx, func(b *blocker) error { return b.reconfigure(c, els, rules) })
}

// settle decides about the blocks that waited for a look at who is connected.
func (o *orders) settle(ctx context.Context, peers engine.Prefixes, looked time.Time) error {
	return o.do(ctx, func(b *blocker) error { return b.settle(peers, looked) })
}

// reinstall puts back a table that was changed; false means that it was whole.
func (o *orders) reinstall(ctx context.Context, by string) (bool, error) {
	return ask(ctx, o.put, func(b *blocker) (bool, error) { return b.reinstall(by) })
}

// inKernel returns those of a list that are in the book still, as the kernel has them.
func (o *orders) inKernel(ctx context.Context, list []*ledger.Entry) ([]nft.Block, error) {
	return ask(ctx, o.put, func(b *blocker) ([]nft.Block, error) { return b.book.InKernel(list), nil })
}

// changes returns how often the book has changed so far.
func (o *orders) changes(ctx context.Context) (uint64, error) {
	return ask(ctx, o.put, func(b *blocker) (uint64, error) { return b.book.Changes(), nil })
}

// beginRoll begins a comparison of book and kernel.
func (o *orders) beginRoll(ctx context.Context) error {
	return o.do(ctx, func(b *blocker) error { b.book.Compare(); return nil })
}

// met notes that the kernel has what is in a list, and books what the book has not.
func (o *orders) met(ctx context.Context, list []nft.Block, by string) ([]inForce, error) {
	return ask(ctx, o.put, func(b *blocker) ([]inForce, error) { return b.met(list, by) })
}

// unmet returns what the book has and the comparison has not met.
func (o *orders) unmet(ctx context.Context) ([]*ledger.Entry, error) {
	return ask(ctx, o.put, func(b *blocker) ([]*ledger.Entry, error) { return b.book.Unmet(time.Now()), nil })
}

// gone strikes those of a list that the kernel has not.
func (o *orders) gone(ctx context.Context, list []*ledger.Entry, by string) ([]ledger.Ref, error) {
	return ask(ctx, o.put, func(b *blocker) ([]ledger.Ref, error) { return b.gone(list, by) })
}

// entries returns the blocks of the book, each of which is the blocker's to read.
func (o *orders) entries(ctx context.Context) ([]*ledger.Entry, error) {
	return ask(ctx, o.put, func(b *blocker) ([]*ledger.Entry, error) { return b.book.Entries(), nil })
}

// keep returns those of a list that are in force still, as the state file has them.
func (o *orders) keep(ctx context.Context, list []*ledger.Entry) ([]ledger.Kept, error) {
	return ask(ctx, o.put, func(b *blocker) ([]ledger.Kept, error) { return b.book.Keep(list), nil })
}

// restore books blocks of an earlier run, and puts them into the kernel if it has
// lost them; it returns those that are in force by that.
func (o *orders) restore(ctx context.Context, list []ledger.Kept, lost bool) ([]ledger.Kept, error) {
	return ask(ctx, o.put, func(b *blocker) ([]ledger.Kept, error) { return b.restore(list, lost), nil })
}

// serve tells the kernel of ports that are served.
func (o *orders) serve(ctx context.Context, list []nft.Service) error {
	return o.do(ctx, func(b *blocker) error { return b.table.Serve(list) })
}

// spared returns the blocked sources whose flows go on.
func (o *orders) spared(ctx context.Context) ([]netip.Prefix, error) {
	return ask(ctx, o.put, func(b *blocker) ([]netip.Prefix, error) { return b.spared(), nil })
}

// harden has nothing of sources pass any more.
func (o *orders) harden(ctx context.Context, sources []netip.Prefix) error {
	return o.do(ctx, func(b *blocker) error { return b.harden(sources) })
}

// counters returns what the rules have counted.
func (o *orders) counters(ctx context.Context) (map[string]uint64, error) {
	return ask(ctx, o.put, func(b *blocker) (map[string]uint64, error) { return b.table.Counters() })
}

// clockSet has the book follow a clock that was set, and returns what is in force.
func (o *orders) clockSet(ctx context.Context) ([]inForce, error) {
	return ask(ctx, o.put, func(b *blocker) (out []inForce, err error) {
		b.book.SetClock(time.Now())
		for e := range b.book.All() {
			out = append(out, inForce{e.Ref(), e.Since, e.Until})
		}
		return out, nil
	})
}

// lead leads packets to an NFQUEUE, or with 0 to none any more.
func (o *orders) lead(ctx context.Context, number uint16) (nft.QueueKind, error) {
	return ask(ctx, o.put, func(b *blocker) (nft.QueueKind, error) { return b.lead(number) })
}

// refill has the sets hold something else.
func (o *orders) refill(ctx context.Context, els *nft.Elements) error {
	return o.do(ctx, func(b *blocker) error {
		b.wanted = els
		return b.table.Fill(els)
	})
}

// quiet empties what must not act without a judge.
func (o *orders) quiet(ctx context.Context, keepTrap bool) error {
	return o.do(ctx, func(b *blocker) error {
		_, err := b.lead(0)
		return errors.Join(err, b.table.Quiet(keepTrap))
	})
}

// facts adds to f the blocks of the source, or of a part of it.
func (o *orders) facts(ctx context.Context, f *explain.Facts) error {
	return o.do(ctx, func(b *blocker) error { b.facts(f); return nil })
}
