// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"encoding/gob"
	"errors"
	"io"
	"reflect"
	"slices"
	"time"

	"picket/engine"
	"picket/internal/host"
	"picket/internal/journal"
	"picket/internal/lookout"
	"picket/internal/task"
)

// watchServices tells the kernel which ports are served: they count as served for an hour after
// their service has stopped, across a reboot too, as services may start later than picket. It
// also watches who is logged in.
func (d *daemon) watchServices() task.Task {
	s := lookout.NewServices(host.EphemeralPort())
	trouble := journal.NewTrouble(d.journal, "what this host serves")
	tracking := journal.NewTrouble(d.journal, "connection tracking")
	recalled := false
	return task.When("services", d.bells.services, lookEvery, lookShare, func(ctx context.Context) {
		var lost error
		if !recalled {
			recalled, lost = true, d.servedBefore(ctx, s)
		}
		list, err := d.machine.Services(d.listenerPort())
		if err == nil {
			if news := s.News(list, time.Now()); len(news) > 0 {
				err = errors.Join(d.orders.serve(ctx, news), saveServed(s))
			}
		}
		if ctx.Err() == nil {
			trouble.Tell(errors.Join(lost, err))
		}
		tracking.Tell(d.machine.Tracking())
		if d.moved() {
			_ = d.apply(ctx, nil) // the next reload reports the error
		}
	})
}

func saveServed(s *lookout.Services) error {
	return lookout.File().Save(func(w io.Writer) error { return gob.NewEncoder(w).Encode(s.Lately()) })
}

// servedBefore tells the kernel which ports an earlier run served lately.
func (d *daemon) servedBefore(ctx context.Context, s *lookout.Services) error {
	var list []lookout.ServedUntil
	_, err := lookout.File().Load(func(r io.Reader) error { return gob.NewDecoder(r).Decode(&list) })
	if news := s.Recall(list, time.Now()); err == nil && len(news) > 0 {
		err = d.orders.serve(ctx, news)
	}
	return err
}

// moved looks at logins and at the addresses of guests, and reports whether either has changed.
func (d *daemon) moved() bool {
	operators, _ := d.machine.Operators()
	virtual := d.machine.Virtuals()
	d.mu.Lock()
	defer d.mu.Unlock()
	if slices.Equal(operators, d.operators) && reflect.DeepEqual(virtual, d.virtual) {
		return false
	}
	d.operators, d.virtual = operators, virtual
	guests := engine.NewPrefixes(virtual.Addresses...)
	d.guests.Store(&guests)
	return true
}
