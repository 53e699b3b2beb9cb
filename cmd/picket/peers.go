// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"picket/engine"
	"picket/internal/host"
)

// peersEvery is how often it is asked who is connected, at most; so old is
// what the engine knows at most, too. peersShare bounds what that costs: of a
// processor, one part in so many, however many connections there are.
const (
	peersEvery = 2 * time.Second
	peersShare = 50
)

// peers is whom this host has connections with, for the engine.
type peers struct {
	known   []netip.Addr
	trouble trouble
}

// watchPeers keeps the engine told of who is connected. It looks again at once
// when a new source probes, and after the block of an unproven one: a
// connection made since the last look was not known to the engine, and its peer
// is freed.
func (d *daemon) watchPeers(ctx context.Context) {
	timer := time.NewTimer(peersEvery)
	defer timer.Stop()
	var pause <-chan time.Time // while looking again would cost too much
	for {
		fresh := d.blocker.fresh
		if pause != nil {
			fresh = nil
		}
		select {
		case <-ctx.Done():
			return
		case <-pause:
			pause = nil
			continue
		case <-fresh:
		case <-timer.C:
		}
		began := time.Now()
		if set, changed := d.peers.look(d); changed {
			// These fail when picket is stopping, and then nobody judges.
			_ = d.judge.call(ctx, func() { d.judge.engine.SetConnected(set) })
			_ = d.blocker.call(ctx, func() error { return d.blocker.freeConnected(set) })
		}
		took := time.Since(began)
		timer.Reset(max(peersEvery, peersShare*took))
		pause = time.After(peersShare * took)
	}
}

// freeConnected ends the blocks that the engine would not have made, had it
// known of a connection: unproven ones, made since the look before the last.
func (b *blocker) freeConnected(peers engine.Prefixes) error {
	for p, e := range b.book {
		if e.event.Proven || e.event.Technique == "" || time.Since(e.since) > 2*peersEvery || !peers.Overlaps(p) {
			continue
		}
		if _, err := b.unblock(p, "this host has a connection with it, and the probes may be forged"); err != nil {
			return err
		}
	}
	return nil
}

// look asks the kernel, and reports whether the answer is another one than
// last time. If the kernel does not answer, the last one holds.
func (p *peers) look(d *daemon) (set engine.Prefixes, changed bool) {
	d.mu.Lock()
	wanted := d.config.Ignore.Connected
	d.mu.Unlock()
	var now []netip.Addr
	if wanted {
		var err error
		now, err = host.Peers(d.listenerPort())
		p.trouble.tell(err)
		if err != nil {
			return set, false
		}
	}
	if slices.Equal(now, p.known) {
		return set, false
	}
	p.known = now
	list := make([]netip.Prefix, len(now))
	for i, a := range now {
		list[i] = netip.PrefixFrom(a, a.BitLen())
	}
	return engine.NewPrefixes(list...), true
}
