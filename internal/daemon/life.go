// SPDX-License-Identifier: MIT

package daemon

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"picket/engine"
	"picket/internal/control"
	"picket/internal/event"
	"picket/internal/journal"
	"picket/internal/systemd"
	"picket/internal/task"
)

// beat is how often systemd hears what picket does. Its watchdog may want more.
const beat = 15 * time.Second

// openReader binds the group, or continues with the socket of an earlier process. systemd
// stores a copy, which holds what is mirrored while no picket runs.
func (d *daemon) openReader(stored []*os.File) (err error) {
	c := d.config.Reader()
	c.Beat, c.Alive = beat, d.alive
	if interval, err := systemd.Watchdog(); err != nil {
		d.journal.Notice("", "the watchdog may not be fed in time: %v", err)
	} else if interval > 0 {
		c.Beat = min(beat, interval)
	}
	name := systemd.NFLOGName(c.Group)
	for _, f := range stored {
		defer f.Close()
		if f.Name() == name {
			c.Stored = f
		} else {
			_ = systemd.Forget(f.Name()) // it is of another group
		}
	}
	if d.reader, err = d.machine.OpenReader(c, d.mirror, d.fail); err != nil {
		return err
	}
	if c.Stored != nil {
		why := d.reader.Refused()
		if why == nil {
			return nil
		}
		d.journal.Notice("", "probes since the last stop are lost: %v", why)
		_ = systemd.Forget(name) // a no-op away from systemd
	}
	if err := systemd.Store(name, d.reader); err != nil {
		d.journal.Notice("", "probes that arrive during a restart will be lost: %v", err)
	}
	return nil
}

// alive makes the judge report that picket is alive, after everything that waits for it: the
// watchdog hears it only while both reading and judging go on.
func (d *daemon) alive() {
	d.bells.services.Ring() // without probes, this is how often services are looked at
	d.docket.alive(func(s engine.Stats) {
		// If this fails, the watchdog acts.
		_ = systemd.Alive()
		_ = systemd.Status(fmt.Sprintf("watching: %d probes of %d sources, %d blocks in force",
			s.Probes, s.Sources, d.orders.blocks()))
	})
}

// watchLoss writes an event about lost probes, at most one a second.
func (d *daemon) watchLoss() task.Task {
	var told uint64
	var l limits
	return task.When("loss teller", d.bells.loss, time.Second, 1, func(ctx context.Context) {
		d.tellLimits(ctx, &l)
		lost := d.reader.Stats().Lost
		if lost == told {
			return
		}
		d.journal.Event(event.Event{
			Event: "lost", Time: time.Now(), Probes: uint32(min(lost-told, math.MaxUint32)),
			Reason: fmt.Sprintf("%d mirrored packets were lost before they were judged, %d since the start",
				lost-told, lost),
		})
		told = lost
	})
}

// limitsEvery is the shortest time between two reports of the kernel's limits.
const limitsEvery = time.Minute

// limits are the rules' counts at the last report.
type limits struct {
	told time.Time
	at   map[string]uint64
}

// tellLimits reports packets that were too many to be mirrored, and full sets.
func (d *daemon) tellLimits(ctx context.Context, l *limits) {
	if time.Since(l.told) < limitsEvery {
		return
	}
	now, err := d.orders.counters(ctx)
	if err != nil {
		return // the table watch reports it
	}
	grown := control.Grown(now, l.at)
	if l.told.IsZero() { // what an earlier run told of is no news
		grown = nil
	}
	if l.told.IsZero() || len(grown) > 0 {
		l.told = time.Now()
	}
	l.at = now
	if len(grown) == 0 {
		return
	}
	who := ""
	if seen, err := d.docket.recent(ctx, recentSources); err == nil && len(seen) > 0 {
		most := slices.MaxFunc(seen, func(a, b engine.Source) int { return cmp.Compare(a.Probes, b.Probes) })
		who = fmt.Sprintf("; of those seen last, %s sent most, %d probes", event.SourceName(most.Prefix),
			most.Probes)
	}
	d.journal.Notice("",
		"packets that fell to the kernel's limits: %s%s (\"picket status\" says what each is)",
		strings.Join(grown, ", "), who)
}

// stop ends the reading, and waits until everything read is judged and done. From then on
// mirrored packets wait for the next process, if systemd stores the socket. Sets that must not
// act without a judge are emptied.
func (d *daemon) stop(ctx context.Context, why string) {
	d.journal.Notice(journal.Stop, "%s", why)
	_ = systemd.Stopping("stopping") // systemd may not be there
	d.reader.Close()
	_ = d.docket.drain(ctx) // it fails when picket fails, and then there is no judge
	d.tellTrial(ctx)
	d.actions.Stop()
	if err := d.orders.quiet(ctx, d.passedTrap); err != nil {
		d.journal.Notice("", "%v", err)
	}
}

// watchClock moves the times of book and engine when the clock is set: blocks last as long as
// before, and show the new time.
func (d *daemon) watchClock(ctx context.Context) error {
	err := d.machine.Clock(ctx, func() {
		list, err := d.orders.clockSet(ctx)
		if err == nil {
			err = d.docket.restore(ctx, list...)
		}
		if err == nil && len(list) > 0 {
			d.journal.Notice("", "the clock was set: what is left of %d blocks stays as it is", len(list))
		}
	})
	if err != nil {
		d.journal.Notice("", "%v: when the clock is set, blocks go on showing the old time", err)
	}
	return nil
}
