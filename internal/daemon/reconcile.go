// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"picket/engine"
	"picket/internal/event"
	"picket/internal/journal"
	"picket/nft"
)

// Book and kernel are made to agree at the start, and whenever somebody else
// changed the table. Where they differ the kernel is right: an element that
// was deleted by hand is not blocked any more. Only a table that was made anew
// gets back what the book has.

// readBlocks reads the blocked sets over a connection of its own: 100,000 take
// a second, for which the owner of the table must not stand still.
func readBlocks(c nft.Config) ([]nft.Block, error) {
	t, err := nft.Open(c)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	return t.Blocks()
}

// adopt books the blocks that the kernel has from an earlier run.
func (d *daemon) adopt(ctx context.Context) {
	if !d.adopting {
		return
	}
	err := d.reconcile(ctx, "")
	if err != nil && !errors.Is(err, errStopping) {
		d.journal.Notice("", "the blocks of an earlier run hold, but could not be read: %v", err)
	}
	// What stands beside the blocks is settled with what is known of them.
	standing := d.actions.standing()
	_ = d.blocker.call(ctx, func() error { d.actions.keep(standing); return nil })
	d.actions.settle()
}

// watchTable looks after the table when another process has changed it.
func (d *daemon) watchTable(ctx context.Context, cancel context.CancelCauseFunc) {
	stop := context.AfterFunc(ctx, d.watcher.Close)
	defer stop()
	err := d.watcher.Run(func(by string) {
		whole := false
		err := d.blocker.call(ctx, func() (err error) { whole, err = d.blocker.reinstall(by); return err })
		if err == nil && whole {
			err = d.reconcile(ctx, by)
		}
		if err != nil && !errors.Is(err, errStopping) {
			d.journal.Notice("", "table inet %s was changed by %s and could not be put right: %v", nft.Name, by, err)
		}
	})
	if err != nil && ctx.Err() == nil {
		cancel(err)
	}
}

// reconcile makes the book agree with the kernel. by is who changed the table,
// "" at the start.
func (d *daemon) reconcile(ctx context.Context, by string) error {
	const attempts = 5
	for attempt := 1; ; attempt++ {
		var before uint64
		if err := d.blocker.call(ctx, func() error { before = d.blocker.changes; return nil }); err != nil {
			return err
		}
		list, err := readBlocks(d.table)
		if err != nil {
			return err
		}
		agreed := false
		var found, gone []*entry
		err = d.blocker.call(ctx, func() (err error) {
			if attempt == attempts {
				// The book changes all the time: let it stand still for once.
				list, err = d.blocker.table.Blocks()
			} else if d.blocker.changes != before {
				return nil // list is of yesterday
			}
			agreed = true
			if err == nil {
				found, gone = d.blocker.agree(list, by)
			}
			return err
		})
		if err != nil {
			return err
		}
		if agreed {
			return d.judge.call(ctx, func() {
				for _, e := range found {
					d.judge.engine.Restore(engine.Block, e.source, e.since, e.until)
				}
				for _, e := range gone {
					d.judge.engine.Unblock(e.source)
				}
			})
		}
	}
}

// agree books what the kernel has, by list, and the book has not, and strikes
// what the book has and the kernel has not; both are returned.
func (b *blocker) agree(list []nft.Block, by string) (found, gone []*entry) {
	now := time.Now()
	have := make(map[netip.Prefix]bool, len(list))
	for _, x := range list {
		have[x.Source] = true
		if b.book[x.Source] == nil && x.For > 0 {
			reason := "from an earlier run"
			if by != "" {
				reason = "added to the set by " + by
			}
			ev := event.Event{Event: "block", Time: now, Source: event.SourceName(x.Source), Action: "block", For: event.Seconds(x.For), Reason: reason}
			if by != "" {
				ev.Config = handmade
			}
			e := b.enter(x.Source, now, now.Add(x.For), ev)
			found = append(found, e)
			if by == "" {
				// Whether a command was run is not known; to undo what was not done
				// does no harm.
				e.commanded = true
				continue
			}
			b.actions.blocked(e, &blockWork{}) // as beside a block by "picket block"
			b.journal.Event(ev)
		}
	}
	for p, e := range b.book {
		// An element that is about to end may have ended.
		if !have[p] && e.until.Sub(now) > time.Second {
			gone = append(gone, e)
		}
	}
	for _, e := range gone {
		reason := "not in the kernel any more"
		if by != "" {
			reason = "deleted from the set by " + by
		}
		b.strike(e)
		b.end(e, "unblock", reason, now, true)
	}
	return found, gone
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
	have := map[netip.Prefix]bool{}
	for _, x := range kernel {
		have[x.Source] = true
	}
	missing, err := b.putBack(have)
	if err != nil {
		return false, err
	}
	b.journal.Notice(journal.Restored, "table inet %s was changed or removed by %s: it is back, with %d of %d blocks put in again", nft.Name, by, missing, len(b.book))
	return false, nil
}

// putBack blocks what the book has and the kernel, by have, has not; it
// returns how many those were.
func (b *blocker) putBack(have map[netip.Prefix]bool) (int, error) {
	var missing []nft.Block
	now := time.Now()
	for p, e := range b.book {
		if !have[p] && e.until.After(now) {
			missing = append(missing, nft.Block{Source: p, For: e.until.Sub(now)})
		}
	}
	for part := range slices.Chunk(missing, 20*batch) {
		if err := b.table.Block(part, func(netip.Prefix) bool { return false }); err != nil {
			return 0, err
		}
	}
	return len(missing), nil
}
