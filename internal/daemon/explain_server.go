// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"fmt"
	"slices"
	"time"

	"picket/internal/config"
	"picket/internal/control"
	"picket/internal/explain"
	"picket/internal/ledger"
	"picket/nft"
)

// explain says what is known about a source, and why it is blocked or not.
func (d *daemon) explain(ctx context.Context, r control.Request) (*control.Explanation, error) {
	p, ok := config.ParseSource(r.Source)
	if !ok {
		return nil, fmt.Errorf("%q is no address or prefix", r.Source)
	}
	f := &explain.Facts{Asked: p, Now: time.Now()}
	if err := d.docket.facts(ctx, f); err != nil {
		return nil, err
	}
	d.mu.Lock()
	f.Config = d.config
	for _, friend := range d.friends {
		if x := explain.Protected(friend); x.Prefix.Overlaps(p) && !slices.Contains(f.Protected, x) {
			f.Protected = append(f.Protected, x)
		}
	}
	d.mu.Unlock()
	if err := d.orders.facts(ctx, f); err != nil {
		return nil, err
	}
	if len(f.Blocks) > 0 {
		if err := d.drops(f); err != nil {
			return nil, err
		}
	}
	if f.Config.Ignore.Connected {
		// The task peers writes an error into the journal.
		peers, _ := d.machine.Peers(d.listenerPort())
		f.Connected = slices.ContainsFunc(peers, p.Contains)
	}
	return explain.Explain(f), nil
}

// facts adds what the engine and the evidence know.
func (j *judge) facts(f *explain.Facts) {
	whole := j.engine.SourceOf(f.Asked.Addr())
	if f.Source = f.Asked; f.Asked.IsSingleIP() {
		f.Source = whole
	}
	f.Forgotten, f.Recent = j.engine.Stats().Evicted, recentSources
	if f.Many = f.Source != whole; f.Many {
		for _, s := range j.engine.Recent(recentSources) {
			if f.Source.Overlaps(s.Prefix) {
				f.Inside = append(f.Inside, s)
			}
		}
		return // a prefix of many sources has no record
	}
	if s, ok := j.engine.Describe(f.Source.Addr()); ok {
		f.Seen = &s
	}
	f.Kept, f.Since = j.evidence.Of(f.Source)
	f.Interfaces = map[uint32]string{}
	for i := range f.Kept {
		index := f.Kept[i].Probe.Interface
		f.Interfaces[index] = j.interfaceName(index)
	}
}

// facts adds the responses to the source, or to a part of it.
func (b *blocker) facts(f *explain.Facts) {
	var list []control.InForce
	for e := range b.book.All() {
		if e.Source.Overlaps(f.Source) {
			ev := e.Event()
			list = append(list, control.InForce{
				Block: e.Row(f.Now), Config: ev.Config, ByHand: e.Maker.Ordered(),
				Protocol: ev.Protocol, Port: ev.Port, Commanded: e.Commanded,
			})
		}
	}
	f.Take(list)
}

// drops adds the kernel's counters.
func (d *daemon) drops(f *explain.Facts) error {
	t, err := d.machine.OpenTable(d.table)
	if err != nil {
		return err
	}
	defer t.Close()
	list := make([]nft.Block, len(f.Blocks))
	for i := range list {
		b := &f.Blocks[i]
		list[i] = (&ledger.Saved{Source: b.Source, Response: b.Response}).Ref().InKernel(0)
	}
	if err := t.Look(list); err != nil {
		return err
	}
	for i := range list {
		f.Blocks[i].Drops = list[i].Drops
	}
	return nil
}
