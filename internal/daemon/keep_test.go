// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"picket/internal/journal"
	"picket/internal/journal/journaltest"
)

// TestSavingTellsOfEachFailure: a disk that fills twice is told of twice, and
// what could not be saved is saved when there is room, though nothing changed.
func TestSavingTellsOfEachFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &journaltest.Log{From: "keeping"}
		j := journal.NewLines(l)
		ctx, cancel := context.WithCancel(t.Context())
		var changes atomic.Uint64
		var full atomic.Bool
		var saved atomic.Int64
		done := make(chan struct{})
		go func() {
			keepSaving(ctx, j, func(_ context.Context, due func(changes, probes uint64) bool) (*kept, uint64, uint64, error) {
				if !due(changes.Load(), 0) {
					return nil, 0, 0, nil
				}
				return new(kept), changes.Load(), 0, nil
			}, func(kept) error {
				if full.Load() {
					return errors.New("disk full")
				}
				saved.Add(1)
				return nil
			})
			close(done)
		}()
		const told, over = "keeping blocks over a reboot: disk full", "keeping blocks over a reboot: in order again"
		time.Sleep(time.Millisecond) // between the ticks
		for n := int64(1); n <= 2; n++ {
			full.Store(true)
			changes.Add(1)
			time.Sleep(time.Minute)
			if got, want := l.Take(), []string{told}; !slices.Equal(got, want) {
				t.Errorf("full for the %d. time: got %q, want %q", n, got, want)
			}
			full.Store(false)
			time.Sleep(time.Minute)
			if got, want := l.Take(), []string{over}; !slices.Equal(got, want) || saved.Load() != n {
				t.Errorf("room again: got %s, saved %d times, want %s and %d", strings.Join(got, ", "), saved.Load(), want, n)
			}
		}
		cancel()
		<-done
		j.Close()
	})
}
