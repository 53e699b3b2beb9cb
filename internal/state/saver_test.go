// SPDX-License-Identifier: MIT

package state

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A disk that fills twice is reported twice. Unsaved changes are saved when there is room,
// even without another change.
func TestSaverTellsOfEachFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var changes, saved atomic.Uint64
		var full atomic.Bool
		told := make(chan error, 100)
		go new(Saver).Run(ctx, always, func(context.Context) (Changes, error) {
			return Changes{Soon: changes.Load()}, nil
		}, func() error {
			if full.Load() {
				return errors.New("disk full")
			}
			saved.Add(1)
			return nil
		}, func(err error) { told <- err })
		take := func() (words []string) {
			for len(told) > 0 {
				words = append(words, fmt.Sprint(<-told))
			}
			return slices.Compact(words)
		}
		time.Sleep(time.Millisecond) // between the ticks
		for n := uint64(1); n <= 2; n++ {
			full.Store(true)
			changes.Add(1)
			time.Sleep(time.Minute)
			if got, want := take(), []string{"disk full"}; !slices.Equal(got, want) {
				t.Errorf("full for the %d. time: got %q, want %q", n, got, want)
			}
			full.Store(false)
			time.Sleep(time.Minute)
			if got := take(); !slices.Equal(got, []string{"<nil>"}) || saved.Load() != n {
				t.Errorf("room again: got %q, saved %d times, want %d", got, saved.Load(), n)
			}
		}
	})
}

// A change that may wait is saved with one that may not, and alone every five seconds. An owner
// that cannot be asked is asked again.
func TestSaverPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var saved, asked atomic.Uint64
		go new(Saver).Run(ctx, always, func(context.Context) (Changes, error) {
			if n := asked.Add(1); n%2 == 0 {
				return Changes{}, errors.New("busy")
			}
			return Changes{Later: asked.Load()}, nil
		}, func() error { saved.Add(1); return nil }, func(error) {})
		time.Sleep(time.Minute + time.Millisecond)
		if n := saved.Load(); n != 10 { // of the odd seconds every third
			t.Errorf("saved %d times in a minute, want 10", n)
		}
	})
}

// A stop does not wait for a disk that does not answer.
func TestSaverSlowDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		asleep, wake, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
		var s Saver
		go func() {
			s.Run(ctx, always, func(context.Context) (Changes, error) { return Changes{Soon: 1}, nil },
				func() error {
					close(asleep)
					<-wake
					return nil
				}, func(error) { t.Error("told of a save that is not over") })
			close(done)
		}()
		<-asleep
		cancel()
		<-done
		began := time.Now()
		save := func() error { t.Error("saved beside a save that is not over"); return nil }
		if err, took := s.Last(Changes{Soon: 2}, save), time.Since(began); err == nil || took != lastSave {
			t.Errorf("%v; the stop took %v", err, took)
		}
		close(wake)
	})
}

// The last save has the changes since the one before, and reports an error.
func TestSaverLast(t *testing.T) {
	var s Saver
	full := errors.New("disk full")
	if err := s.Last(Changes{}, func() error { t.Error("nothing changed"); return nil }); err != nil {
		t.Error(err)
	}
	if err := s.Last(Changes{Later: 1}, func() error { return full }); !errors.Is(err, full) {
		t.Error(err)
	}
}

// always has a Saver look each second.
func always(ctx context.Context) bool { return ctx.Err() == nil }

// A Saver that has saved all sleeps until something may have changed.
func TestSaverSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		wake := make(chan struct{}, 1)
		asked, saved, changes := 0, 0, Changes{}
		go new(Saver).Run(ctx, func(ctx context.Context) bool {
			select {
			case <-wake:
				return true
			case <-ctx.Done():
				return false
			}
		}, func(context.Context) (Changes, error) { asked++; return changes, nil },
			func() error { saved++; return nil }, func(error) {})
		for i, want := range []int{1, 2} {
			changes.Later++
			wake <- struct{}{}
			time.Sleep(time.Minute)
			synctest.Wait()
			before := asked
			time.Sleep(time.Hour)
			synctest.Wait()
			if saved != want || asked != before {
				t.Errorf("the %d. change: saved %d times, asked %d times in an idle hour", i+1, saved,
					asked-before)
			}
		}
	})
}
