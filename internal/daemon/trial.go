// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"errors"
	"time"

	"picket/internal/beside"
	"picket/internal/config"
	"picket/internal/control"
)

// tellTrial writes into the journal how a trial goes, for "picket report".
func (d *daemon) tellTrial(ctx context.Context) {
	if ev, ok, err := d.docket.trialNews(ctx, time.Now()); err == nil && ok {
		d.journal.Event(ev)
	}
}

// trial is the answer to "trial": the figures of the dry run, and the responses that would be
// in force.
func (d *daemon) trial(ctx context.Context) (*control.Trial, error) {
	t, err := d.docket.trial(ctx, time.Now(), true)
	if err == nil && t == nil {
		err = errNoTrial
	}
	return t, err
}

var (
	errNoTrial = errors.New("there is no trial: picket blocks already")
	errStarted = errors.New("picket was started with --dry-run: start it without")
	errStill   = errors.New("dry_run = true is still in force: \"picket check\" says which files are read")
)

// An arming ends a trial for a time. Unless it is confirmed, the trial continues afterwards.
// The zero value is no arming.
type arming struct {
	since time.Time
	timer *time.Timer
}

// arm ends the trial: for good if the files say so, or else for a time. After a restart within
// that time the files decide, and the trial continues.
func (d *daemon) arm(ctx context.Context, r control.Request) (any, error) {
	if d.options.DryRun {
		return nil, errStarted
	}
	d.reloading.Lock() // or a reload at the same time, or the end of an arming, would be lost
	defer d.reloading.Unlock()
	if r.For == "" {
		return nil, d.armForGood(ctx)
	}
	length, err := config.ParseDuration(r.For)
	if err != nil {
		return nil, err
	}
	if !d.current().DryRun {
		return nil, errNoTrial
	}
	d.tellTrial(ctx)
	if err := d.disarmed(ctx, false); err != nil {
		return nil, err
	}
	d.takeArming() // of before a reload
	d.mu.Lock()
	defer d.mu.Unlock()
	d.arming = arming{time.Now(), time.AfterFunc(time.Duration(length), func() { d.rollBack(ctx) })}
	d.journal.Notice("", "armed for %s: the trial goes on then, unless \"picket arm --confirm\" comes before",
		length)
	return nil, nil
}

func (d *daemon) armForGood(ctx context.Context) error {
	d.mu.Lock()
	trial := d.config.DryRun || d.arming.timer != nil
	d.mu.Unlock()
	if !trial {
		return errNoTrial
	}
	d.tellTrial(ctx)
	c, err := d.load()
	switch {
	case err != nil:
		return err
	case c.DryRun:
		return errStill
	}
	d.fix(c)
	if err := d.apply(ctx, c); err != nil {
		return err
	}
	d.takeArming()
	d.journal.Notice("", "armed: the trial has ended")
	return nil
}

// takeArming stops the timer of an arming, and returns the arming.
func (d *daemon) takeArming() arming {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.arming
	if d.arming = (arming{}); a.timer != nil {
		a.timer.Stop()
	}
	return a
}

// disarmed changes dry_run of the configuration in force.
func (d *daemon) disarmed(ctx context.Context, on bool) error {
	c := *d.current()
	c.DryRun = on
	return d.apply(ctx, &c)
}

// rollBack continues the trial, and ends the responses that were made since. A person's
// responses stay.
func (d *daemon) rollBack(ctx context.Context) {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	a := d.takeArming()
	if a.timer == nil || ctx.Err() != nil {
		return // confirmed, or the run has ended
	}
	err := d.disarmed(ctx, true)
	n := 0
	if err == nil {
		n, err = d.orders.rollBack(ctx, func(b *beside.Block) bool {
			return !b.Maker.Ordered() && !b.Event.Time.Before(a.since)
		}, "the arming was not confirmed")
	}
	if err != nil {
		d.journal.Notice("", "the arming could not be rolled back: %v", err)
		return
	}
	d.journal.Notice("", "not confirmed: the trial goes on, and %d responses are ended", n)
}
