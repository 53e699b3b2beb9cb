// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"errors"
	"io"
	"time"

	"picket/engine"
	"picket/internal/journal"
	"picket/internal/ledger"
	"picket/internal/state"
	"picket/internal/task"
)

// readyWithin is how long blocks of an earlier run may delay the start of services that wait
// for picket, such as the network at boot. 20,000 blocks are back within it, and more within
// the second.
const readyWithin = 300 * time.Millisecond

// remember gives the owners what an earlier run knew, from the state file and the kernel, while
// the rules are in force and probes are judged. Then it saves changes to the file.
func (d *daemon) remember(ctx context.Context, ready func()) error {
	if err := d.recall(ctx, d.lost); errors.Is(err, task.ErrStopping) {
		return nil // the file does not change
	}
	d.adopt(ctx)
	d.known.Store(true)
	close(d.remembered)
	ready()
	d.keepState(ctx)
	return nil
}

// recall reads the state file and hands its parts to the owners. A useless file is an entry of
// the journal. Lost: the kernel has none of the blocks.
func (d *daemon) recall(ctx context.Context, lost bool) error {
	_, err := ledger.File().Load(func(r io.Reader) error {
		return ledger.Read(r, func(list []ledger.Saved) error { return blame(d.restore(ctx, list, lost)) },
			func(part []byte) error { return blame(d.docket.recall(ctx, part)) })
	})
	switch {
	case errors.Is(err, state.ErrSetAside):
		d.journal.Notice(journal.StateAside, "%v", err)
		return nil
	case err != nil && !errors.Is(err, task.ErrStopping):
		d.journal.Notice("", "%v", err)
	}
	return err
}

// restore books responses of an earlier run, and puts them into a kernel that has lost
// them. If the kernel refuses, they are lost, and the journal says so.
func (d *daemon) restore(ctx context.Context, list []ledger.Saved, lost bool) error {
	made, err := d.orders.restore(ctx, list, lost)
	if err == nil {
		err = d.docket.restore(ctx, made...)
	}
	return err
}

// blame marks the error of a run that ends: it is not the fault of the state file.
func blame(err error) error {
	if errors.Is(err, task.ErrStopping) {
		return errors.Join(err, state.ErrInterrupted)
	}
	return err
}

// store asks the owners, while they work.
func (d *daemon) store(ctx context.Context) *ledger.Contents {
	return &ledger.Contents{
		Entries: func() ([]*ledger.Entry, error) { return d.orders.entries(ctx) },
		Saved:   func(list []*ledger.Entry) ([]ledger.Saved, error) { return d.orders.saved(ctx, list) },
		Memory:  func() (engine.Memory, error) { return d.docket.memory(ctx) },
		Next: func(m *engine.Memory, to []byte) (part []byte, more bool, err error) {
			return d.docket.nextPart(ctx, m, to)
		},
	}
}

// keepState saves the book when it has changed, and the engine's memory with it.
func (d *daemon) keepState(ctx context.Context) {
	store := d.store(ctx)
	trouble := journal.NewTrouble(d.journal, "keeping blocks over a reboot")
	d.saver.Run(ctx, d.bells.state.Wait, d.changes, func() error { return ledger.File().Save(store.Write) },
		trouble.Tell)
}

// changes counts the changes of the book and the probes so far.
func (d *daemon) changes(ctx context.Context) (c state.Changes, err error) {
	if c.Later, err = d.docket.probed(ctx); err == nil {
		c.Soon, err = d.orders.changes(ctx)
	}
	return c, err
}

// lastState saves everything after the owners have ended.
func (d *daemon) lastState(b *blocker, j *judge) {
	c := state.Changes{Soon: b.book.Changes(), Later: j.engine.Stats().Probes}
	last := ledger.Resting(b.book, j.engine).Write
	if err := d.saver.Last(c, func() error { return ledger.File().Save(last) }); err != nil {
		d.journal.Notice("", "blocks are not kept over a reboot: %v", err)
	}
}
