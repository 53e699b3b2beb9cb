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
	"picket/internal/task"
	"picket/nft"
)

// Orders are the blocker's door. Any goroutine may give them. The blocker executes them one
// after the other.
type orders struct {
	queue chan work
	ended chan struct{} // closed when the blocker has ended
	look  chan struct{} // asks for a look at who is connected
	book  *ledger.Book  // for its length only
}

// A work is one order. Exactly one field is set.
type work struct {
	block     *blockWork
	commanded *blockWork // its command has ended
	release   netip.Addr
	do        func(*blocker) // anything rarer, see ask
}

// queueLength is how many orders may wait. A block takes some 20 µs.
const queueLength = 8192

func newOrders() *orders {
	return &orders{
		queue: make(chan work, queueLength), ended: make(chan struct{}), look: make(chan struct{}, 1),
		book: ledger.New(),
	}
}

// blocks returns the number of responses in force.
func (o *orders) blocks() int { return o.book.Len() }

// block queues a block and reports whether there was room. It never waits.
func (o *orders) block(w *blockWork) bool { return o.offer(work{block: w}) }

// makeRoom queues the end of a response that gives its place to another one. If the queue is
// full, the kernel's set may become full, and its refusal is an event.
func (o *orders) makeRoom(old ledger.Ref, next netip.Prefix) {
	o.offer(work{do: func(b *blocker) {
		why := "it makes room for " + event.SourceName(next) + ", with as many blocks as configured"
		if err := b.endOne(old, why); err != nil {
			b.journal.Notice("", "%v", err)
		}
	}})
}

// release queues the release of a held source. If the queue is full, the hold ends by itself.
func (o *orders) release(a netip.Addr) { o.offer(work{release: a}) }

func (o *orders) offer(w work) bool {
	select {
	case o.queue <- w:
		return true
	default:
		return false
	}
}

// commandEnded resumes the block that waited for its command.
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

// do makes the blocker call f.
func (o *orders) do(ctx context.Context, f func(*blocker) error) error {
	_, err := task.Ask(ctx, o.put, func(b *blocker) (none, error) { return none{}, f(b) })
	return err
}

// bySince returns the responses of the book with their dates. Only the blocker may read an entry.
func (o *orders) bySince(ctx context.Context) ([]ledger.Dated, error) {
	return task.Ask(ctx, o.put, func(b *blocker) ([]ledger.Dated, error) { return b.book.BySince(), nil })
}

// rows describes the responses of a list that are still in force, in the room of r.
func (o *orders) rows(ctx context.Context, r ledger.Rows, list []ledger.Dated) (ledger.Rows, error) {
	return task.Ask(ctx, o.put, func(b *blocker) (ledger.Rows, error) {
		return b.book.Rows(r, list, time.Now()), nil
	})
}

// dropped books the kernel's counters.
func (o *orders) dropped(ctx context.Context, list []nft.Block) error {
	return o.do(ctx, func(b *blocker) error { b.book.Dropped(list); return nil })
}

// reaction returns how long the last blocks took.
func (o *orders) reaction(ctx context.Context) (control.Reaction, error) {
	return task.Ask(ctx, o.put, func(b *blocker) (control.Reaction, error) { return b.speed.Summary(), nil })
}

// Sources implements [beside.Book].
func (o *orders) Sources(ctx context.Context, ok func(*beside.Block) bool) ([]netip.Prefix, error) {
	return task.Ask(ctx, o.put, func(b *blocker) (out []netip.Prefix, err error) {
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

// byHand makes a person's blocks, from now on.
func (o *orders) byHand(ctx context.Context, list []*handWork, now time.Time) error {
	return o.do(ctx, func(b *blocker) error { b.byHand(list, now); return nil })
}

// unblock ends blocks for a person, and returns an error or nil for each.
func (o *orders) unblock(ctx context.Context, list []netip.Prefix) ([]error, error) {
	return task.Ask(ctx, o.put, func(b *blocker) ([]error, error) { return b.unblockByHand(list), nil })
}

// unblockAll ends every block for a person, and returns their sources.
func (o *orders) unblockAll(ctx context.Context) ([]netip.Prefix, error) {
	return task.Ask(ctx, o.put, func(b *blocker) ([]netip.Prefix, error) { return b.unblockAll() })
}

// rollBack ends the responses for which ends is true, and returns their number.
func (o *orders) rollBack(ctx context.Context, ends func(*beside.Block) bool, reason string) (int, error) {
	return task.Ask(ctx, o.put, func(b *blocker) (n int, err error) {
		for _, e := range b.book.Entries() {
			if block := e.Block(); !ends(&block) {
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

// settle makes or drops the blocks that waited for a look at who is connected.
func (o *orders) settle(ctx context.Context, peers engine.Prefixes, looked time.Time) error {
	return o.do(ctx, func(b *blocker) error { return b.settle(peers, looked) })
}

// reinstall puts a changed table back, and reports whether it was whole.
func (o *orders) reinstall(ctx context.Context, by string) (bool, error) {
	return task.Ask(ctx, o.put, func(b *blocker) (bool, error) { return b.reinstall(by) })
}

// inKernel returns the responses of a list that are still in the book, as the kernel has them.
func (o *orders) inKernel(ctx context.Context, list []*ledger.Entry) ([]nft.Block, error) {
	return task.Ask(ctx, o.put, func(b *blocker) ([]nft.Block, error) { return b.book.InKernel(list), nil })
}

// changes returns how often the book has changed so far.
func (o *orders) changes(ctx context.Context) (uint64, error) {
	return task.Ask(ctx, o.put, func(b *blocker) (uint64, error) { return b.book.Changes(), nil })
}

// beginRoll begins a comparison of book and kernel.
func (o *orders) beginRoll(ctx context.Context) error {
	return o.do(ctx, func(b *blocker) error { b.book.Compare(); return nil })
}

// met notes that the kernel has the responses of a list, and books the unknown ones.
func (o *orders) met(ctx context.Context, list []nft.Block, by string) ([]inForce, error) {
	return task.Ask(ctx, o.put, func(b *blocker) ([]inForce, error) { return b.met(list, by) })
}

// unmet returns the entries that the comparison has not met.
func (o *orders) unmet(ctx context.Context) ([]*ledger.Entry, error) {
	return task.Ask(ctx, o.put, func(b *blocker) ([]*ledger.Entry, error) {
		return b.book.Unmet(time.Now()), nil
	})
}

// gone strikes the entries of a list that the kernel does not have.
func (o *orders) gone(ctx context.Context, list []*ledger.Entry, by string) error {
	return o.do(ctx, func(b *blocker) error { return b.gone(list, by) })
}

// entries returns the book's entries. Only the blocker may read one.
func (o *orders) entries(ctx context.Context) ([]*ledger.Entry, error) {
	return task.Ask(ctx, o.put, func(b *blocker) ([]*ledger.Entry, error) { return b.book.Entries(), nil })
}

// saved returns the responses of a list that are still in force, for the state file.
func (o *orders) saved(ctx context.Context, list []*ledger.Entry) ([]ledger.Saved, error) {
	return task.Ask(ctx, o.put, func(b *blocker) ([]ledger.Saved, error) { return b.book.Saved(list), nil })
}

// restore books responses of an earlier run, puts them into a kernel that has lost
// them, and returns the booked ones.
func (o *orders) restore(ctx context.Context, l []ledger.Saved, lost bool) ([]inForce, error) {
	return task.Ask(ctx, o.put, func(b *blocker) ([]inForce, error) { return b.restore(l, lost), nil })
}

// serve marks ports as served in the kernel.
func (o *orders) serve(ctx context.Context, list []nft.Service) error {
	return o.do(ctx, func(b *blocker) error { return b.table.Serve(list) })
}

// spared returns the blocked sources whose flows still pass.
func (o *orders) spared(ctx context.Context) ([]netip.Prefix, error) {
	return task.Ask(ctx, o.put, func(b *blocker) ([]netip.Prefix, error) { return b.spared(), nil })
}

// harden ends the flows of blocked sources.
func (o *orders) harden(ctx context.Context, sources []netip.Prefix) error {
	return o.do(ctx, func(b *blocker) error { return b.harden(sources) })
}

// takeWhole returns the sources whose blocks end all flows, since the last call; none when the
// blocker has ended.
func (o *orders) takeWhole(ctx context.Context) []netip.Prefix {
	list, _ := task.Ask(ctx, o.put, func(b *blocker) (list []netip.Prefix, _ error) {
		list, b.whole = b.whole, nil
		return list, nil
	})
	return list
}

// counters returns the counters of the rules, by name.
func (o *orders) counters(ctx context.Context) (map[string]uint64, error) {
	return task.Ask(ctx, o.put, func(b *blocker) (map[string]uint64, error) { return b.table.Counters() })
}

// clockSet moves the book's times with the clock, and returns what is in force.
func (o *orders) clockSet(ctx context.Context) ([]inForce, error) {
	return task.Ask(ctx, o.put, func(b *blocker) (out []inForce, err error) {
		b.book.SetClock(time.Now())
		for e := range b.book.All() {
			out = append(out, inForce{e.Ref(), e.Since, e.Until})
		}
		return out, nil
	})
}

// lead leads packets to an NFQUEUE; 0 ends that.
func (o *orders) lead(ctx context.Context, number uint16) (nft.QueueKind, error) {
	return task.Ask(ctx, o.put, func(b *blocker) (nft.QueueKind, error) { return b.lead(number) })
}

// refill fills the sets anew.
func (o *orders) refill(ctx context.Context, els *nft.Elements) error {
	return o.do(ctx, func(b *blocker) error {
		b.wanted = els
		return b.table.Fill(els)
	})
}

// quiet empties the sets that must not act without a judge.
func (o *orders) quiet(ctx context.Context, keepTrap bool) error {
	return o.do(ctx, func(b *blocker) error {
		_, err := b.lead(0)
		return errors.Join(err, b.table.Quiet(keepTrap))
	})
}

// facts adds to f the responses to the source, or to a part of it.
func (o *orders) facts(ctx context.Context, f *explain.Facts) error {
	return o.do(ctx, func(b *blocker) error { b.facts(f); return nil })
}
