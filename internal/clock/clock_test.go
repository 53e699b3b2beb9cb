// SPDX-License-Identifier: MIT

package clock

import (
	"context"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// step sets the clock a nanosecond ahead or back.
func step(t *testing.T, ahead bool) {
	t.Helper()
	x := &unix.Timex{Modes: unix.ADJ_SETOFFSET | unix.ADJ_NANO, Time: unix.Timeval{Usec: 1}}
	if !ahead {
		x.Time = unix.Timeval{Sec: -1, Usec: 999_999_999}
	}
	if _, err := unix.ClockAdjtime(unix.CLOCK_REALTIME, x); err != nil {
		t.Fatalf("a step of a nanosecond: %v", err)
	}
}

// A clock that is set is noticed, each time.
func TestWatch(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	stepped, done := make(chan struct{}, 100), make(chan error, 1)
	go func() { done <- Watch(ctx, func() { stepped <- struct{}{} }) }()
	ahead := false
	defer func() {
		if ahead {
			step(t, false)
		}
	}()
	for n := range 3 {
		limit := time.After(5 * time.Second)
		for heard := false; !heard; {
			// Until the watch stands, a step may be one of before.
			ahead = !ahead
			step(t, ahead)
			select {
			case <-stepped:
				heard = true
			case <-limit:
				t.Fatalf("step %d is not noticed", n)
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
