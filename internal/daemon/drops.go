// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"slices"
	"time"
)

// dropsEvery is the time between two readings of the kernel's counters. The event of a block's
// end says what the block kept off, and the kernel removes a block and its counter in silence.
// Reading takes a two-hundredth of the time at most.
const (
	dropsEvery = 10 * time.Second
	dropsShare = 200
)

// watchDrops reads the counters of the blocks. An error shows when a person asks for them.
func (d *daemon) watchDrops(ctx context.Context) {
	if d.orders.blocks() > 0 {
		d.bells.drops.Ring()
		_ = d.readDrops(ctx)
	}
}

// readDrops books how many packets each response has kept off.
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
