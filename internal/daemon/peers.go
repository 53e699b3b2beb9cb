// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"errors"
	"time"
)

// lookEvery is how often it is asked who is connected, what is served, who is
// logged in, whose flows live. lookShare bounds what a look costs: of a processor,
// one part in so many, however many connections there are.
const (
	lookEvery = 2 * time.Second
	lookShare = 50
)

// watchPeers keeps judge and blocker told of who is connected while probes come, and
// looks at once if a block waits for the answer.
func (d *daemon) watchPeers(ctx context.Context) error {
	bell := d.bells.peers
	var pause, rest <-chan time.Time // while looking again would cost too much; until the next is due
	for {
		look, rung := d.orders.look, bell.Heard()
		if pause != nil {
			look = nil
		}
		if rest != nil {
			rung = nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-pause:
			pause = nil
			continue
		case <-rest:
			rest = nil
			continue
		case <-look:
		case <-rung:
			bell.Answer()
		}
		began := time.Now()
		changed := d.lookAtPeers()
		took := time.Since(began)
		d.tellPeers(ctx, changed, began)
		pause, rest = time.After(lookShare*took), time.After(max(lookEvery, lookShare*took))
	}
}

// tellPeers tells the owners what a look has found. The judge hears first whom
// to spare, and then who was spared. It fails when picket is stopping, and then
// nobody judges.
func (d *daemon) tellPeers(ctx context.Context, changed bool, looked time.Time) {
	if changed {
		_ = d.docket.setConnected(ctx, d.peers.Set)
	}
	if err := d.orders.settle(ctx, d.peers.Set, looked); err != nil && !errors.Is(err, errStopping) {
		d.journal.Notice("", "%v", err)
	}
}

// lookAtPeers asks the kernel, if anybody is to be spared, and reports whether the
// answer is another one than last time. If the kernel does not answer, the last
// answer holds.
func (d *daemon) lookAtPeers() (changed bool) {
	if !d.current().Ignore.Connected {
		return d.peers.Seen(nil)
	}
	now, err := d.machine.Peers(d.listenerPort())
	d.unanswered.Tell(err)
	return err == nil && d.peers.Seen(now)
}
