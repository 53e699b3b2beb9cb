// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"slices"
	"time"

	"picket/internal/host"
	"picket/internal/journal"
	"picket/internal/lookout"
	"picket/internal/task"
)

// watchServices tells the kernel what is served, so that a port is no probe's
// target for an hour after its service has stopped; and everybody who is logged in.
func (d *daemon) watchServices() task.Task {
	s := lookout.NewServices(host.EphemeralPort())
	trouble := journal.NewTrouble(d.journal, "what this host serves")
	return task.Every("services", lookEvery, lookShare, func(ctx context.Context) {
		list, err := d.system.services(d.listenerPort())
		if err == nil {
			if news := s.News(list, time.Now()); len(news) > 0 {
				err = d.orders.serve(ctx, news)
			}
		}
		if ctx.Err() == nil {
			trouble.Tell(err)
		}
		if d.moved() {
			_ = d.apply(ctx, nil) // it fails when picket stops, or as the next reload does, which tells
		}
	})
}

// moved looks where the operator is logged in from, and which addresses others
// serve, and reports whether that has changed.
func (d *daemon) moved() bool {
	operators, _ := d.system.operators()
	elsewhere := d.system.elsewhere()
	d.mu.Lock()
	defer d.mu.Unlock()
	if slices.Equal(operators, d.operators) && slices.Equal(elsewhere, d.elsewhere) {
		return false
	}
	d.operators, d.elsewhere = operators, elsewhere
	return true
}
