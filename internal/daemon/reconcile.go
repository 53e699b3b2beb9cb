// SPDX-License-Identifier: MIT

package daemon

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"picket/engine"
	"picket/internal/event"
	"picket/internal/journal"
	"picket/internal/ledger"
	"picket/nft"
)

// Book and kernel are made to agree at the start, and whenever somebody else
// changed the table. Where they differ the kernel is right: an element that
// was deleted by hand is not blocked any more. Only a table that was made anew
// gets back what the book has.

// readBlocks reads the blocked sets over a connection of its own: 100,000 take
// a second, for which the owner of the table must not stand still.
func (d *daemon) readBlocks() ([]nft.Block, error) {
	t, err := d.system.openTable(d.table)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	return t.Blocks()
}

// adopt books the blocks that the kernel has from an earlier run, and then puts
// what stands beside them in line with the book.
func (d *daemon) adopt(ctx context.Context) {
	if !d.lost {
		if err := d.reconcile(ctx, ""); err != nil && !errors.Is(err, errStopping) {
			d.journal.Notice("", "the blocks of an earlier run hold, but could not be read: %v", err)
		}
	}
	d.actions.Settle(ctx)
}

// watchTable looks after the table when another process has changed it.
func (d *daemon) watchTable(ctx context.Context) error {
	stop := context.AfterFunc(ctx, d.watcher.Close)
	defer stop()
	err := d.watcher.Run(func(by string) {
		select {
		case <-d.remembered: // before, the book is not whole
		case <-ctx.Done():
			return
		}
		whole, err := d.orders.reinstall(ctx, by)
		if err == nil && whole {
			err = d.reconcile(ctx, by)
		}
		if err != nil && !errors.Is(err, errStopping) {
			d.journal.Notice("", "table inet %s was changed by %s and could not be put right: %v",
				nft.Name, by, err)
		}
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// attempts is how often the blocks are read while the book may change, before
// it must stand still for it.
const attempts = 5

// reconcile makes the book agree with the kernel, and tells the judge. By is who
// changed the table, "" at the start.
func (d *daemon) reconcile(ctx context.Context, by string) error {
	differ, err := d.agree(ctx, by)
	if err != nil {
		return err
	}
	d.docket.unblocked(differ.gone...)
	return d.docket.restore(ctx, differ.found...)
}

func (d *daemon) agree(ctx context.Context, by string) (*differences, error) {
	for range attempts - 1 {
		before, err := d.orders.changes(ctx)
		if err != nil {
			return nil, err
		}
		list, err := d.readBlocks()
		if err != nil {
			return nil, err
		}
		if differ, err := d.orders.agree(ctx, list, by, before); err != nil || differ != nil {
			return differ, err
		}
	}
	return d.orders.agreeNow(ctx, by)
}

// differences are where book and kernel did not agree.
type differences struct {
	found []inForce    // blocks that the kernel had and the book had not
	gone  []ledger.Ref // that the book had and the kernel had not
}

// agree books what the kernel has, by list, and the book has not, and strikes
// what the book has and the kernel has not.
func (b *blocker) agree(list []nft.Block, by string) *differences {
	now, differ := time.Now(), new(differences)
	have := make(map[ledger.Ref]bool, len(list))
	var longer []nft.Block
	for i := range list {
		r := ledger.Of(&list[i])
		have[r] = true
		if e := b.book.Get(r); e != nil {
			e.Spared = list[i].Spare
			if left := e.Until.Sub(now); isLonger(&list[i], left) {
				list[i].For = left
				longer = append(longer, list[i])
			}
		}
		if !b.book.Has(r) && list[i].For > 0 {
			differ.found = append(differ.found, inForce{r, now, now.Add(list[i].For)})
			b.find(r, list[i].For, by, now)
		}
	}
	b.shorten(longer, by)
	var gone []*ledger.Entry
	for e := range b.book.All() {
		// An element that is about to end may have ended.
		if !have[e.Ref()] && e.Until.Sub(now) > time.Second {
			gone = append(gone, e)
		}
	}
	reason := "not in the kernel any more"
	if by != "" {
		reason = "deleted from the set by " + by
	}
	for _, e := range gone {
		differ.gone = append(differ.gone, e.Ref())
		b.book.Strike(e)
		b.end(e, "unblock", reason, now, true)
	}
	return differ
}

// slack is how far book and kernel may be apart: the kernel tells of a time that
// was left a moment ago.
const slack = 2 * time.Second

// isLonger reports whether the kernel has a block for longer than it was granted:
// an element that somebody adds again without a time never ends. What is fenced
// or in the dark the kernel prolongs by itself.
func isLonger(x *nft.Block, left time.Duration) bool {
	return x.Response == nft.Blocked && left > slack && (x.For == 0 || x.For > left+slack)
}

// shorten has blocks last as long as they were granted.
func (b *blocker) shorten(list []nft.Block, by string) {
	for part := range slices.Chunk(list, batch) {
		if err := b.table.Block(part, func(nft.Response, netip.Prefix) bool { return true }); err != nil {
			b.journal.Notice("", "%d blocks that were made to last by %s could not be put right: %v", len(part), by, err)
			return
		}
	}
	if len(list) > 0 {
		b.journal.Notice("", "%d blocks, the first of %s, were made to last longer by %s: they end when they would have",
			len(list), event.SourceName(list[0].Source), cmp.Or(by, "somebody"))
	}
}

// find books a response that the kernel has, of an earlier run or by somebody.
func (b *blocker) find(r ledger.Ref, left time.Duration, by string, now time.Time) {
	ev := event.Event{
		Event: "block", Time: now, Source: event.SourceName(r.Source), Action: r.Response.String(), For: event.Seconds(left),
		Reason: "from an earlier run",
	}
	if by == "" {
		// Whether a command was run is not known; to undo what was not done does no
		// harm.
		e := b.book.Enter(r, now, now.Add(left), ev)
		e.Maker, e.Commanded = event.Earlier, true
		return
	}
	ev.Reason, ev.Config = "added to the set by "+by, event.HandConfig
	e := b.book.Enter(r, now, now.Add(left), ev)
	e.Maker = event.Outside
	if r.Response == engine.Block {
		b.actions.Blocked(&e.Block) // as beside a block by "picket block"
	}
	b.journal.Event(ev)
}

// reinstall puts back a table that somebody took away, changed, or made anew,
// with every block of the book. whole is true if there was no need to.
func (b *blocker) reinstall(by string) (whole bool, err error) {
	if whole, err = b.table.Verify(); err == nil && whole {
		whole, err = b.table.Filled()
	}
	if whole || err != nil {
		return whole, err
	}
	if _, err := b.table.Install(b.wanted); err != nil {
		return false, err
	}
	kernel, err := b.table.Blocks()
	if err != nil {
		return false, err
	}
	have := map[ledger.Ref]bool{}
	for i := range kernel {
		have[ledger.Of(&kernel[i])] = true
	}
	missing, err := b.putBack(have)
	if err != nil {
		return false, err
	}
	b.journal.Notice(journal.Restored, "table inet %s was changed or removed by %s: it is back, "+
		"with %d of %d blocks put in again", nft.Name, by, missing, b.book.Len())
	return false, nil
}

// putBack blocks what the book has and the kernel, by have, has not; it
// returns how many those were.
func (b *blocker) putBack(have map[ledger.Ref]bool) (int, error) {
	var missing []nft.Block
	now := time.Now()
	for e := range b.book.All() {
		if !have[e.Ref()] && e.Until.After(now) {
			missing = append(missing, e.InKernel(e.Until.Sub(now)))
		}
	}
	for part := range slices.Chunk(missing, 20*batch) {
		if err := b.table.Block(part, func(nft.Response, netip.Prefix) bool { return false }); err != nil {
			return 0, err
		}
	}
	return len(missing), nil
}
