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
	"picket/internal/beside"
	"picket/internal/event"
	"picket/internal/journal"
	"picket/internal/ledger"
	"picket/internal/task"
	"picket/nft"
)

// Book and kernel are compared at the start, and after each change of the table by others. If
// they differ, the kernel is right: an element that was deleted by hand is not blocked any
// more. Only a new table gets back what the book has.

// adopt books the blocks that the kernel has from an earlier run, and then settles what stands
// beside them.
func (d *daemon) adopt(ctx context.Context) {
	if !d.lost {
		if err := d.reconcile(ctx, ""); err != nil && !errors.Is(err, task.ErrStopping) {
			d.journal.Notice("", "the blocks of an earlier run hold, but could not be read: %v", err)
		}
	}
	d.actions.Settle(ctx)
}

// watchTable repairs the table when another process has changed it.
func (d *daemon) watchTable(ctx context.Context) error {
	stop := context.AfterFunc(ctx, d.watcher.Close)
	defer stop()
	err := d.watcher.Run(func(by string) {
		select {
		case <-d.remembered: // before that the book is not whole
		case <-ctx.Done():
			return
		}
		whole, err := d.orders.reinstall(ctx, by)
		if whole {
			err = errors.Join(err, d.reconcile(ctx, by))
		}
		if err != nil && !errors.Is(err, task.ErrStopping) {
			d.journal.Notice("", "table inet %s was changed by %s and could not be put right: %v",
				nft.Name, by, err)
		}
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// reconcile makes the book agree with the kernel, and tells the judge. By is the process that
// changed the table, "" at the start. The kernel's list is read over a separate connection and
// handed over in parts. It may lack elements, or have elements that are gone, so the owner asks
// for each difference before acting on it.
func (d *daemon) reconcile(ctx context.Context, by string) error {
	if err := d.orders.beginRoll(ctx); err != nil {
		return err
	}
	t, err := d.machine.OpenTable(d.table)
	if err != nil {
		return err
	}
	defer t.Close()
	var list []nft.Block
	hand := func() error {
		found, err := d.orders.met(ctx, list, by)
		list = list[:0]
		if err != nil || len(found) == 0 {
			return err
		}
		return d.docket.restore(ctx, found...)
	}
	err = t.Each(func(b *nft.Block) error {
		if list = append(list, *b); len(list) < batch {
			return nil
		}
		return hand()
	})
	if err == nil {
		err = hand()
	}
	if err != nil {
		return err
	}
	unmet, err := d.orders.unmet(ctx)
	for part := range slices.Chunk(unmet, batch) {
		if err = d.orders.gone(ctx, part, by); err != nil {
			break
		}
	}
	return err
}

// met notes the entries of a list from the kernel, and books the unknown ones.
func (b *blocker) met(list []nft.Block, by string) (found []inForce, err error) {
	now := time.Now()
	var longer, strange []nft.Block
	for i := range list {
		e := b.book.Get(ledger.Of(&list[i]))
		if e == nil {
			strange = append(strange, list[i])
			continue
		}
		b.book.Met(e)
		e.Spared = list[i].Spare
		switch left := e.Until.Sub(now); {
		case !isLonger(&list[i], left):
		case by == "" && list[i].For > 0: // a killed picket granted it, after it last saved
			b.book.SetEnd(e, now.Add(list[i].For))
			found = append(found, inForce{e.Ref(), e.Since, e.Until})
		default:
			list[i].For = left
			longer = append(longer, list[i])
		}
	}
	b.shorten(longer, by)
	if err := b.table.Look(strange); err != nil { // or it was freed after the list was read
		return nil, err
	}
	for i := range strange {
		if r := ledger.Of(&strange[i]); strange[i].For > 0 && !b.book.Has(r) {
			found = append(found, inForce{r, now, now.Add(strange[i].For)})
			b.find(r, strange[i].For, by, now)
		}
	}
	return found, nil
}

// gone strikes the entries of a list that the kernel does not have.
func (b *blocker) gone(list []*ledger.Entry, by string) error {
	list = slices.DeleteFunc(list, func(e *ledger.Entry) bool { return b.book.Get(e.Ref()) != e })
	kernel := b.book.InKernel(list)
	if err := b.table.Look(kernel); err != nil {
		return err
	}
	reason := "not in the kernel any more"
	if by != "" {
		reason = "deleted from the set by " + by
	}
	now := time.Now()
	for i, e := range list {
		if kernel[i].For >= 0 {
			continue
		}
		b.lost(e.Ref())
		b.book.Strike(e)
		b.end(e, "unblock", reason, now, true)
	}
	return nil
}

// slack is how far book and kernel may differ: the kernel's answer is a moment old.
const slack = 2 * time.Second

// isLonger reports whether the kernel has a block for longer than the book: an element that is
// added again without a timeout never ends. The rules prolong fences and the dark themselves.
func isLonger(x *nft.Block, left time.Duration) bool {
	return x.Response == nft.Blocked && left > slack && (x.For == 0 || x.For > left+slack)
}

// shorten gives blocks the end that they were granted.
func (b *blocker) shorten(list []nft.Block, by string) {
	for part := range slices.Chunk(list, batch) {
		if err := b.table.Block(part, func(nft.Response, netip.Prefix) bool { return true }); err != nil {
			b.journal.Notice("", "%d blocks that were made to last by %s could not be put right: %v",
				len(part), by, err)
			return
		}
	}
	if len(list) > 0 {
		b.journal.Notice("", "%d blocks, the first of %s, were made to last longer by %s: they end when "+
			"they would have", len(list), event.SourceName(list[0].Source), cmp.Or(by, "somebody"))
	}
}

// find books a response in the kernel, from an earlier run or from another process.
func (b *blocker) find(r ledger.Ref, left time.Duration, by string, now time.Time) {
	ev := event.Event{
		Event: "block", Time: now, Source: event.SourceName(r.Source), Action: r.Response.String(),
		For: event.Seconds(left), Reason: "from an earlier run",
	}
	if by == "" {
		// It is unknown whether a command was run. To undo what was not done does no harm.
		e := b.book.Enter(r, now, now.Add(left), ev)
		e.Maker, e.Commanded = event.Earlier, true
		return
	}
	ev.Reason, ev.Config = "added to the set by "+by, event.HandConfig
	e := b.book.Enter(r, now, now.Add(left), ev)
	e.Maker = event.Outside
	if r.Response == engine.Block {
		b.standBeside(e, beside.Block{Event: ev}) // as beside a block by "picket block"
	}
	b.journal.Event(ev)
}

// reinstall puts back the tables that another process removed, changed or made again, with every
// block of the book. Whole is true if the one of the blocks was as it should be.
func (b *blocker) reinstall(by string) (whole bool, err error) {
	if whole, err = b.table.Verify(); err == nil && whole {
		whole, err = b.table.Filled()
	}
	if err == nil && !whole {
		err = b.renewTable(by)
	}
	return whole && err == nil, errors.Join(err, b.requeue(by))
}

// renewTable is reinstall for the table of the blocks.
func (b *blocker) renewTable(by string) error {
	if _, err := b.table.Install(b.wanted); err != nil {
		return err
	}
	b.book.Compare()
	err := b.table.Each(func(x *nft.Block) error {
		if e := b.book.Get(ledger.Of(x)); e != nil {
			b.book.Met(e)
		}
		return nil
	})
	if err != nil {
		return err
	}
	missing, err := b.putBack()
	if err != nil {
		return err
	}
	b.journal.Notice(journal.Restored, "table inet %s was changed or removed by %s: it is back, "+
		"with %d of %d blocks put in again", nft.Name, by, missing, b.book.Len())
	return nil
}

// putBack blocks the responses of the book that the comparison has not met. It returns how many
// there were.
func (b *blocker) putBack() (int, error) {
	now := time.Now()
	missing := b.book.Unmet(now)
	blocks := make([]nft.Block, 0, min(20*batch, len(missing)))
	for part := range slices.Chunk(missing, 20*batch) {
		blocks = blocks[:0]
		for _, e := range part {
			blocks = append(blocks, e.InKernel(e.Until.Sub(now)))
		}
		if err := b.table.Block(blocks, func(nft.Response, netip.Prefix) bool { return false }); err != nil {
			return 0, err
		}
	}
	return len(missing), nil
}
