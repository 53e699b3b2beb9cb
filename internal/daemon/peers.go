// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"picket/engine"
	"picket/internal/host"
)

// peersEvery is how often it is asked who is connected. peersShare bounds what
// that costs: of a processor, one part in so many, however many connections
// there are.
const (
	peersEvery = 2 * time.Second
	peersShare = 50
)

// peers is whom this host has connections with, for the engine.
type peers struct {
	known   []netip.Addr
	set     engine.Prefixes // of them
	trouble trouble
}

// watchPeers keeps the engine told of who is connected, and looks at once if a
// block waits for the answer.
func (d *daemon) watchPeers(ctx context.Context) {
	timer := time.NewTimer(peersEvery)
	defer timer.Stop()
	var pause <-chan time.Time // while looking again would cost too much
	for {
		look := d.blocker.look
		if pause != nil {
			look = nil
		}
		select {
		case <-ctx.Done():
			return
		case <-pause:
			pause = nil
			continue
		case <-look:
		case <-timer.C:
		}
		began := time.Now()
		changed := d.peers.look(d)
		took := time.Since(began)
		d.tellPeers(ctx, changed, began)
		timer.Reset(max(peersEvery, peersShare*took))
		pause = time.After(peersShare * took)
	}
}

// tellPeers tells the owners what a look has found. The engine hears first whom
// it must spare, and then who was spared. It fails when picket is stopping, and
// then nobody judges.
func (d *daemon) tellPeers(ctx context.Context, changed bool, looked time.Time) {
	if changed {
		_ = d.judge.call(ctx, func() { d.judge.engine.SetConnected(d.peers.set) })
	}
	var spared []netip.Prefix
	if err := d.blocker.call(ctx, func() (err error) {
		spared, err = d.blocker.settle(d.peers.set, looked)
		return err
	}); err != nil && !errors.Is(err, errStopping) {
		d.journal.Notice("", "%v", err)
	}
	if len(spared) > 0 {
		_ = d.judge.call(ctx, func() {
			for _, p := range spared {
				d.judge.engine.Unblock(p)
			}
		})
	}
}

// look asks the kernel, and reports whether the answer is another one than
// last time. If the kernel does not answer, the last one holds.
func (p *peers) look(d *daemon) (changed bool) {
	d.mu.Lock()
	wanted := d.config.Ignore.Connected
	d.mu.Unlock()
	var now []netip.Addr
	if wanted {
		var err error
		now, err = host.Peers(d.listenerPort())
		p.trouble.tell(err)
		if err != nil {
			return false
		}
	}
	if slices.Equal(now, p.known) {
		return false
	}
	p.known = now
	list := make([]netip.Prefix, len(now))
	for i, a := range now {
		list[i] = netip.PrefixFrom(a, a.BitLen())
	}
	p.set = engine.NewPrefixes(list...)
	return true
}
