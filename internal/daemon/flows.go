// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"net/netip"
	"time"

	"picket/engine"
	"picket/internal/journal"
	"picket/internal/ledger"
	"picket/nft"
)

// flowsEvery is how often it is asked whether the flows of blocked sources still
// live, while there are such sources.
const flowsEvery = 2 * time.Second

// watchFlows ends what a block let live: a flow from before it. What it costs to
// read connection tracking is bounded as the look at who is connected is.
func (d *daemon) watchFlows(ctx context.Context) error {
	timer := time.NewTimer(flowsEvery)
	defer timer.Stop()
	trouble := journal.NewTrouble(d.journal, "the flows of blocked sources")
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		began := time.Now()
		sources, err := d.orders.spared(ctx)
		if err == nil && len(sources) > 0 {
			err = d.orders.harden(ctx, d.without(sources, trouble))
		}
		if err != nil && ctx.Err() == nil {
			d.journal.Notice("", "%v", err)
		}
		timer.Reset(max(flowsEvery, peersShare*time.Since(began)))
	}
}

// without returns the sources that have no flow; all of them if that is not known.
func (d *daemon) without(sources []netip.Prefix, trouble *journal.Trouble) (out []netip.Prefix) {
	flows, err := d.system.flows(d.listenerPort())
	trouble.Tell(err)
	for _, p := range sources {
		lives := false
		for a := range flows {
			if lives = p.Contains(a); lives {
				break
			}
		}
		if !lives {
			out = append(out, p)
		}
	}
	return out
}

// spares reports whether a block lets flows live for now: in graded style those of
// a source that has proven itself a scanner, since somebody else may share its
// address. Harden ends that.
func (b *blocker) spares(w *blockWork) bool {
	return w.Response == engine.Block && b.config.Block.Style == engine.Graded && w.event.Proven && !w.maker.Ordered()
}

// spared returns the sources that were blocked and have flows that go on.
func (b *blocker) spared() (out []netip.Prefix) {
	for e := range b.book.All() {
		if e.Spared {
			out = append(out, e.Source)
		}
	}
	return out
}

// harden drops before connection tracking what sources send that have no flow any more.
func (b *blocker) harden(sources []netip.Prefix) error {
	var blocks []nft.Block
	var entries []*ledger.Entry
	now := time.Now()
	for _, p := range sources {
		if e := b.book.Get(ledger.Ref{Response: engine.Block, Source: p}); e != nil && e.Spared {
			blocks, entries = append(blocks, e.Ref().InKernel(e.Until.Sub(now))), append(entries, e)
		}
	}
	if len(blocks) == 0 {
		return nil
	}
	if err := b.table.Block(blocks, b.book.Renews); err != nil {
		return err
	}
	for _, e := range entries {
		e.Spared = false
	}
	return nil
}
