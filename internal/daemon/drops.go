// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"slices"
	"time"
)

// dropsEvery is how often the kernel's counters are read, so that the end of a block
// can tell what it kept off: the kernel ends a block in silence and its counter
// with it, and so does who flushes the ruleset. Reading takes a two-hundredth of
// the time at most.
const (
	dropsEvery = 10 * time.Second
	dropsShare = 200
)

// watchDrops reads the counters of the blocks now and then. An error is told to
// people who ask for them.
func (d *daemon) watchDrops(ctx context.Context) {
	if d.orders.blocks() > 0 {
		d.bells.drops.Ring()
		_ = d.readDrops(ctx)
	}
}

// readDrops has the book know what each block has kept off.
func (d *daemon) readDrops(ctx context.Context) error {
	entries, err := d.orders.entries(ctx)
	if err != nil {
		return err
	}
	t, err := d.machine.OpenTable(d.table)
	if err != nil {
		return err
	}
	defer t.Close()
	for part := range slices.Chunk(entries, batch) {
		list, err := d.orders.inKernel(ctx, part)
		if err == nil {
			err = t.Look(list)
		}
		if err == nil {
			err = d.orders.dropped(ctx, list)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
