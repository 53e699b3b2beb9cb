// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"picket/engine"
	"picket/internal/journal"
	"picket/internal/ledger"
	"picket/internal/lookout"
	"picket/internal/task"
	"picket/nft"
)

// watchFlows ends the exemption of flows that are older than the block, and ends flows of
// blocked sources that a flowtable carries past the rules.
func (d *daemon) watchFlows() task.Task {
	trouble := journal.NewTrouble(d.journal, "the flows of blocked sources")
	return task.When("flows", d.bells.flows, lookEvery, lookShare, func(ctx context.Context) {
		sources, err := d.orders.spared(ctx)
		if err == nil && len(sources) > 0 {
			d.bells.flows.Ring()
			flows, unknown := d.flows()
			trouble.Tell(unknown)
			err = d.orders.harden(ctx, lookout.Ended(sources, flows)) // all, if flows are unknown
		}
		if whole := d.orders.takeWhole(ctx); len(whole) > 0 {
			set := engine.NewPrefixes(whole...)
			_, unknown := d.machine.CutOffloaded(set.Contains)
			trouble.Tell(unknown)
		}
		if err != nil && ctx.Err() == nil {
			d.journal.Notice("", "%v", err)
		}
	})
}

// flows returns the addresses with living flows, by connection tracking and by this host's own
// sockets: connection tracking may be flushed, or told to ignore a service.
func (d *daemon) flows() (map[netip.Addr]bool, error) {
	port := d.listenerPort()
	flows, err := d.machine.Flows(port)
	if err != nil {
		return nil, err
	}
	peers, err := d.machine.Peers(port)
	for _, a := range peers {
		flows[a] = true
	}
	return flows, err
}

// spares reports whether a block lets the flows of its source go on for now. In graded style it
// does so for a proven scanner, as others may share its address. Harden ends that.
func (b *blocker) spares(w *blockWork) bool {
	return w.Response == engine.Block && b.config.Block.Style == engine.Graded && w.event.Proven &&
		!w.maker.Ordered()
}

// spared returns the blocked sources whose flows still pass.
func (b *blocker) spared() (out []netip.Prefix) {
	for e := range b.book.All() {
		if e.Spared {
			out = append(out, e.Source)
		}
	}
	return out
}

// harden moves blocks before connection tracking: the flows of these sources have ended.
func (b *blocker) harden(sources []netip.Prefix) error {
	var blocks []nft.Block
	var entries []*ledger.Entry
	now := time.Now()
	for _, p := range sources {
		if e := b.book.Get(ledger.Ref{Response: engine.Block, Source: p}); e != nil && e.Spared {
			blocks, entries = append(blocks, e.Ref().InKernel(e.Until.Sub(now))), append(entries, e)
		}
	}
	var failed error
	for i, err := range b.put(blocks) {
		switch {
		case err == nil:
			entries[i].Spared = false
			b.whole = append(b.whole, entries[i].Source)
		case !errors.Is(err, nft.ErrOverlap): // a block of the network around it has ended its flows
			failed = err
		}
	}
	return failed
}
