// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"picket/engine"
	"picket/internal/journal"
)

// peersEvery is how often it is asked who is connected. peersShare bounds what
// that costs: of a processor, one part in so many, however many connections
// there are.
const (
	peersEvery = 2 * time.Second
	peersShare = 50
)

// peers is whom this host has connections with, for judge and blocker.
type peers struct {
	ask     func(except uint16) ([]netip.Addr, error)
	known   []netip.Addr
	set     engine.Prefixes // of them
	trouble *journal.Trouble
}

// watchPeers keeps judge and blocker told of who is connected, and looks at once
// if a block waits for the answer.
func (d *daemon) watchPeers(ctx context.Context) error {
	timer := time.NewTimer(peersEvery)
	defer timer.Stop()
	var pause <-chan time.Time // while looking again would cost too much
	for {
		look := d.orders.look
		if pause != nil {
			look = nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-pause:
			pause = nil
			continue
		case <-look:
		case <-timer.C:
		}
		began := time.Now()
		changed := d.lookAtPeers()
		took := time.Since(began)
		d.tellPeers(ctx, changed, began)
		timer.Reset(max(peersEvery, peersShare*took))
		pause = time.After(peersShare * took)
	}
}

// tellPeers tells the owners what a look has found. The judge hears first whom
// to spare, and then who was spared. It fails when picket is stopping, and then
// nobody judges.
func (d *daemon) tellPeers(ctx context.Context, changed bool, looked time.Time) {
	if changed {
		_ = d.docket.setConnected(ctx, d.peers.set)
	}
	if err := d.orders.settle(ctx, d.peers.set, looked); err != nil && !errors.Is(err, errStopping) {
		d.journal.Notice("", "%v", err)
	}
}

func (d *daemon) lookAtPeers() (changed bool) {
	return d.peers.look(d.current().Ignore.Connected, d.listenerPort())
}

// look asks the kernel, if anybody is to be spared, and reports whether the
// answer is another one than last time. Connections to the port except do not
// count. If the kernel does not answer, the last answer holds.
func (p *peers) look(spare bool, except uint16) (changed bool) {
	var now []netip.Addr
	if spare {
		var err error
		now, err = p.ask(except)
		p.trouble.Tell(err)
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
