// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"errors"
	"time"

	"picket/internal/task"
)

// lookEvery is the time between two looks at connections, services, logins and flows. With any
// number of connections, looking takes at most one part in lookShare of a processor.
const (
	lookEvery = 2 * time.Second
	lookShare = 50
)

// watchPeers tells judge and blocker which sources are connected, while probes come. It looks
// at once if a block waits for the answer.
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

// tellPeers hands the result of a look to the owners. The judge is first: it must know which
// sources to spare before the blocker spares them. An error means that picket stops.
func (d *daemon) tellPeers(ctx context.Context, changed bool, looked time.Time) {
	if changed {
		_ = d.docket.setConnected(ctx, d.peers.Set)
	}
	if err := d.orders.settle(ctx, d.peers.Set, looked); err != nil && !errors.Is(err, task.ErrStopping) {
		d.journal.Notice("", "%v", err)
	}
}

// lookAtPeers asks the kernel which sources are connected, if such are spared, and reports
// whether that has changed. Without an answer the last one holds.
func (d *daemon) lookAtPeers() (changed bool) {
	if !d.current().Ignore.Connected {
		return d.peers.Seen(nil)
	}
	now, err := d.machine.Peers(d.listenerPort())
	d.unanswered.Tell(err)
	return err == nil && d.peers.Seen(now)
}
