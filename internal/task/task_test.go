// SPDX-License-Identifier: MIT

package task

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Stop ends all and waits for the last word of each; an error goes to who
// started them; nobody is ready who does not run.
func TestGroup(t *testing.T) {
	var mu sync.Mutex
	var said []string
	say := func(s string) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, s)
	}
	patient := New("patient", func(ctx context.Context) error {
		<-ctx.Done()
		say("patient ends")
		return nil
	})
	select {
	case <-patient.Ready():
		t.Error("ready before it runs")
	default:
	}
	var g Group
	g.Stop() // nothing runs yet
	failed := make(chan error, 1)
	g.Start(t.Context(), func(err error) { failed <- err }, patient,
		New("brief", func(context.Context) error { return errors.New("broken") }))
	g.Wait(t.Context())
	if err := <-failed; err.Error() != "broken" {
		t.Error(err)
	}
	g.Stop()
	if !slices.Equal(said, []string{"patient ends"}) || patient.String() != "patient" {
		t.Errorf("%q, %s", said, patient)
	}
}

// The end of the context ends the wait for a task that is never ready.
func TestWaitEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	(&Group{tasks: []Task{New("never", nil)}}).Wait(ctx)
}

// Work at intervals is done at once too, and more seldom if it takes long.
func TestEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for takes, want := range map[time.Duration]int{0: 7, time.Second: 6, 2 * time.Second: 3} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute+time.Millisecond)
			n := 0
			if err := Every("look", 10*time.Second, 10,
				func(context.Context) { n++; time.Sleep(takes) }).Run(ctx); err != nil || n != want {
				t.Errorf("%v each: %v, done %d times in a minute, want %d", takes, err, n, want)
			}
			cancel()
		}
	})
}
