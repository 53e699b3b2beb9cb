// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

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
			s := saver{journal: j}
			s.run(ctx, func(context.Context) (counts, error) { return counts{changes: changes.Load()}, nil }, func() error {
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

// TestBound: no clock makes a block last longer than it was granted.
func TestBound(t *testing.T) {
	saved := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	p := netip.MustParsePrefix("192.0.2.7/32")
	for _, test := range []struct {
		name  string
		clock time.Duration // how far from when it was saved
		want  time.Duration // what is left of the hour
	}{
		{"at once", 0, time.Hour},
		{"later", 20 * time.Minute, 40 * time.Minute},
		{"over", time.Hour, 0},
		{"a clock without a battery", -50 * 365 * 24 * time.Hour, time.Hour},
		{"a clock set back by less", -time.Minute, time.Hour},
	} {
		now := saved.Add(test.clock)
		k := keptBlock{Source: p, Since: saved, Until: saved.Add(time.Hour)}
		if ok := k.bound(now); ok != (test.want > 0) {
			t.Errorf("%s: in force %v", test.name, ok)
		} else if ok && (k.Until.Sub(now) != test.want || k.Since.After(now)) {
			t.Errorf("%s: from %v to %v at %v", test.name, k.Since, k.Until, now)
		}
	}
	if k := (keptBlock{Since: saved, Until: saved.Add(time.Hour)}); k.bound(saved) {
		t.Error("a block of nobody is in force")
	}
}

// TestSlowDisk: a stop does not wait for a disk that does not answer.
func TestSlowDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := journal.NewLines(&journaltest.Log{From: "keeping"})
		defer j.Close()
		ctx, cancel := context.WithCancel(t.Context())
		asleep, wake := make(chan struct{}), make(chan struct{})
		s := saver{journal: j}
		done := make(chan struct{})
		go func() {
			s.run(ctx, func(context.Context) (counts, error) { return counts{changes: 1}, nil }, func() error {
				close(asleep)
				<-wake
				return nil
			})
			close(done)
		}()
		<-asleep
		cancel()
		<-done
		if s.busy == nil {
			t.Error("the save that is not over is forgotten")
		}
		began := time.Now()
		s.lastState(nil, nil)
		if took := time.Since(began); took != lastSave {
			t.Errorf("the stop took %v", took)
		}
		close(wake)
	})
}

// Blocks of the same reason share its text, and no more texts are looked for than
// there is room for.
func TestShare(t *testing.T) {
	words := make(map[string]string)
	for i := range 2 * mostWords {
		k := keptBlock{Reason: strings.Clone("above the trigger"), Evidence: strconv.Itoa(i), Tool: ""}
		k.share(words)
		if k.Reason != "above the trigger" || k.Evidence != strconv.Itoa(i) || k.Tool != "" {
			t.Fatalf("%+v", k)
		}
		if first := words[k.Reason]; unsafe.StringData(first) != unsafe.StringData(k.Reason) {
			t.Fatal("a text of its own")
		}
	}
	if len(words) != mostWords {
		t.Errorf("%d texts", len(words))
	}
}
