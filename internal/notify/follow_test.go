// SPDX-License-Identifier: MIT

package notify

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"picket/internal/event"
)

// kept is a sender that keeps its messages.
type kept struct {
	got []Message
	err error
}

func (*kept) Name() string { return "test" }

func (k *kept) Send(_ context.Context, m Message) error {
	k.got = append(k.got, m)
	return k.err
}

// TestFollow: an hour's events are two messages, one soon after the first event and
// one an hour later; the rest is sent at the end.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kept{err: errors.New("not now")}
		failed := 0
		f := Follower{Senders: []Sender{k}, Events: []string{"block"}, Every: time.Hour, Host: "host",
			Failed: func(error) { failed++ }}
		events := make(chan event.Event)
		done := make(chan struct{})
		ctx, cancel := context.WithCancel(context.Background())
		go func() { f.Run(ctx, events); close(done) }()
		for range 70 {
			events <- block("192.0.2.9")
			events <- event.Event{Event: "probe"}
			time.Sleep(time.Minute)
		}
		if len(k.got) != 2 || k.got[1].At.Sub(k.got[0].At) != time.Hour || failed != 2 {
			t.Errorf("%d failed of %+v", failed, k.got)
		}
		cancel()
		<-done
		if len(k.got) != 3 {
			t.Errorf("%d messages", len(k.got))
		}
	})
}

// The end of a reader is an error of its own, unless it was asked to end. Its earlier events
// are sent.
func TestFollowReader(t *testing.T) {
	broken := errors.New("no journal")
	for _, stopped := range []bool{false, true} {
		k := new(kept)
		f := Follower{Senders: []Sender{k}, Events: []string{"block"}, Every: time.Hour, Host: "host"}
		ctx, cancel := context.WithCancel(t.Context())
		err := f.Follow(ctx, func(_ context.Context, each func(event.Event)) error {
			each(block("192.0.2.9"))
			if stopped {
				cancel()
			}
			return broken
		})
		if stopped && err != nil || !stopped && (!errors.Is(err, broken) || len(k.got) != 1) {
			t.Errorf("stopped %v: %v, %d messages", stopped, err, len(k.got))
		}
		cancel()
	}
}

// A test sends to every receiver, and prints each result.
func TestTest(t *testing.T) {
	bad, good := &kept{err: errors.New("refused")}, new(kept)
	var out strings.Builder
	err := Test(t.Context(), &out, []Sender{bad, good})
	if want := "test: refused\n1 of 2 messages could not be sent"; err == nil || err.Error() != want ||
		out.String() != "test: sent\n" || len(good.got) != 1 {
		t.Errorf("%v, %q; want %q", err, &out, want)
	}
	if err := Test(t.Context(), &out, []Sender{good}); err != nil {
		t.Error(err)
	}
}
