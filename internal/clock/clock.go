// SPDX-License-Identifier: MIT

// Package clock notices when the machine's clock is set: the times of a running process
// do not follow that.
//
// It needs no privilege. It does not notice a clock that is made faster or slower
// (adjtimex(2)): all times still agree after that.
package clock

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Watch calls stepped each time the clock is set, until ctx ends.
func Watch(ctx context.Context, stepped func()) error {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("watch the clock: %w", err)
	}
	f := os.NewFile(uintptr(fd), "timerfd")
	defer f.Close()
	stop := context.AfterFunc(ctx, func() { f.Close() })
	defer stop()
	// A timer for a time that never comes is cancelled when the clock is set
	// (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET), and must be set anew then.
	never := unix.ItimerSpec{Value: unix.Timespec{Sec: 1<<33 - 1}}
	raw, err := f.SyscallConn()
	if err != nil {
		return fmt.Errorf("watch the clock: %w", err)
	}
	for {
		var failed error
		if err := raw.Control(func(fd uintptr) {
			failed = unix.TimerfdSettime(int(fd), unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, &never,
				nil)
		}); err != nil && ctx.Err() != nil {
			return nil
		}
		// ECANCELED here means that the clock was set again; the timer is set all the same.
		if failed != nil && !errors.Is(failed, unix.ECANCELED) {
			return fmt.Errorf("watch the clock: %w", failed)
		}
		if failed == nil {
			_, failed = f.Read(make([]byte, 8))
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(failed, unix.ECANCELED):
			stepped()
		case failed != nil:
			return fmt.Errorf("watch the clock: %w", failed)
		}
	}
}
