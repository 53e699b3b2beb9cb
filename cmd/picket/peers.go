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

// watchPeers keeps the engine told of who is connected.
func (d *daemon) watchPeers(ctx context.Context) {
	timer := time.NewTimer(peersEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		began := time.Now()
		if set, changed := d.peers.look(d); changed {
			// It fails when picket is stopping, and then nobody judges.
			_ = d.judge.call(ctx, func() { d.judge.engine.SetConnected(set) })
		}
		timer.Reset(max(peersEvery, peersShare*time.Since(began)))
	}
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
