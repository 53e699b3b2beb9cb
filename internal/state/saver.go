// SPDX-License-Identifier: MIT

package state

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Changes count what has changed since the start.
type Changes struct {
	Soon  uint64 // is saved within a second
	Later uint64 // may wait for [Patience]
}

// Patience is how old the less important half of a file may be: a crash loses it.
const Patience = 5 * time.Second

// again is how long a Saver waits after a failure.
const again = 10 * time.Second

// A Saver saves what has changed, in the background, and once more at the end.
// The zero value has saved nothing. It is for one goroutine.
type Saver struct {
	saved Changes
	busy  chan error // of a save that is not over
}

// Run saves by save, at most once a second, until ctx ends, so that saving takes a
// twentieth of the time at most. What could not be saved is tried again. Tell
// hears how each attempt ended. When all is saved it waits, by wait, until
// something may have changed since then; false means that ctx has ended.
func (s *Saver) Run(
	ctx context.Context, wait func(context.Context) bool, count func(context.Context) (Changes, error),
	save func() error, tell func(error),
) {
	var last, next time.Time
	for wait(ctx) {
		for whole := false; !whole; {
			var at time.Time
			select {
			case <-ctx.Done():
				return
			case at = <-time.After(time.Second):
			}
			if at.Before(next) {
				continue
			}
			c, err := count(ctx)
			if whole = err == nil && c == s.saved; whole {
				continue
			}
			if err != nil || c.Soon == s.saved.Soon && at.Sub(last) < Patience {
				continue
			}
			err = s.save(ctx, save)
			if errors.Is(err, errEnded) {
				return
			}
			tell(err)
			if err != nil {
				next = at.Add(again)
				continue
			}
			s.saved, last = c, at
			next = at.Add(20 * time.Since(at))
		}
	}
}

// errEnded is of a save that goes on alone.
var errEnded = errors.New("ended")

// save runs f, and returns when it is over or ctx has ended: a disk may take a
// minute, and a stop cannot wait for it.
func (s *Saver) save(ctx context.Context, f func() error) error {
	s.busy = make(chan error, 1)
	go func(done chan<- error) { done <- f() }(s.busy)
	select {
	case err := <-s.busy:
		s.busy = nil
		return err
	case <-ctx.Done():
		return errEnded
	}
}

// lastSave is how long a stop waits for the disk. What was saved before stays if
// it takes longer, and that is of the last seconds.
const lastSave = 5 * time.Second

// Last saves by save when Run has ended, unless nothing has changed since. It
// waits five seconds at most, for the save included that Run left behind.
func (s *Saver) Last(c Changes, save func() error) error {
	ctx, cancel := context.WithTimeout(context.Background(), lastSave)
	defer cancel()
	if s.busy != nil {
		select {
		case <-s.busy:
		case <-ctx.Done():
		}
	}
	var err error
	if ctx.Err() == nil {
		if c == s.saved {
			return nil
		}
		err = s.save(ctx, save)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("the disk takes more than %v: what was saved last stays", lastSave)
	}
	return err
}
