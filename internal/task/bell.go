// SPDX-License-Identifier: MIT

package task

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A Bell wakes one task when there is work. An idle program then never wakes up. Make
// one with [NewBell].
type Bell struct {
	rung  atomic.Bool
	heard chan struct{}
}

// NewBell returns a bell that is silent.
func NewBell() *Bell { return &Bell{heard: make(chan struct{}, 1)} }

// Ring makes the task work, soon or once more. Any goroutine may ring, and none waits;
// a second ring before the bell is heard takes a nanosecond.
func (b *Bell) Ring() {
	if !b.rung.Load() && !b.rung.Swap(true) {
		b.heard <- struct{}{}
	}
}

// Heard receives when the bell was rung. The receiver must call Answer before it works.
func (b *Bell) Heard() <-chan struct{} { return b.heard }

// Answer readies the bell for the next ring.
func (b *Bell) Answer() { b.rung.Store(false) }

// Wait waits until the bell is rung, and answers: a later ring is new work. False means
// that ctx has ended.
func (b *Bell) Wait(ctx context.Context) bool {
	select {
	case <-b.heard:
		b.Answer()
		return true
	case <-ctx.Done():
		return false
	}
}

// When returns a task that calls do at once and after each ring of the bell, but for a
// pause. The pause is longer if do costs much: it takes at most one part in share of a
// processor. What it waits for costs nothing.
func When(name string, b *Bell, pause time.Duration, share int, do func(ctx context.Context)) Task {
	return New(name, func(ctx context.Context) error {
		for ctx.Err() == nil {
			cost := processorTime(func() { do(ctx) })
			next := time.Now().Add(max(pause, time.Duration(share)*cost))
			select {
			case <-b.heard:
			case <-ctx.Done():
				return nil
			}
			select {
			case <-time.After(time.Until(next)):
			case <-ctx.Done():
			}
			b.Answer()
		}
		return nil
	})
}

// processorTime returns how much processor time f takes in its own goroutine, the
// kernel's work for it included.
func processorTime(f func()) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, after unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &before)
	f()
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &after)
	return time.Duration(after.Nano() - before.Nano())
}
