// SPDX-License-Identifier: MIT

package task

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A task works when its bell was rung, at most once in its pause, and not at all
// when it was not; no ringing is lost.
func TestWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		bell := NewBell()
		var done atomic.Int64
		var g Group
		g.Start(ctx, func(err error) { t.Error(err) }, When("work", bell, 2*time.Second, 1,
			func(context.Context) { done.Add(1) }))
		after := func(d time.Duration, want int) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if n := done.Load(); n != int64(want) {
				t.Errorf("worked %d times, want %d", n, want)
			}
		}
		after(time.Hour, 1)
		for range 100 {
			bell.Ring()
		}
		after(time.Second, 2)
		bell.Ring() // in its pause: heard when that is over
		after(500*time.Millisecond, 2)
		after(time.Second, 3)
		after(time.Hour, 3)
		cancel()
		g.Stop()
		bell.Ring() // nobody hears, and nobody waits
		bell.Ring()
	})
}

// A task that waits for others is not taken for one that works, and one that works rests
// in proportion.
func TestWhenCountsWork(t *testing.T) {
	wait := processorTime(func() { time.Sleep(100 * time.Millisecond) })
	work := processorTime(func() {
		for began := time.Now(); time.Since(began) < 100*time.Millisecond; {
		}
	})
	if wait > 20*time.Millisecond || work < 2*wait {
		t.Errorf("waiting took %v of a processor, working %v", wait, work)
	}
}
