// SPDX-License-Identifier: MIT

package notify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"picket/internal/event"
)

// A Follower gathers events into messages and sends them, one at a time. At its
// end it sends what it has gathered.
type Follower struct {
	Senders []Sender
	Events  []string // kinds of reportable events
	Every   time.Duration
	Host    string
	Failed  func(error) // called for each message not sent
}

// Run reports the events until the channel is closed or ctx is done. Events wait
// in the channel while a message is sent.
func (f *Follower) Run(ctx context.Context, events <-chan event.Event) {
	d := Digest{Every: f.Every}
	timer := time.NewTimer(0)
	<-timer.C
	defer timer.Stop()
	for {
		if at, ok := d.Due(); ok {
			timer.Reset(time.Until(at))
		}
		select {
		case <-ctx.Done():
			f.last(&d)
			return
		case e, ok := <-events:
			if !ok {
				f.last(&d)
				return
			}
			if slices.Contains(f.Events, e.Event) {
				d.Add(e, time.Now())
			}
		case <-timer.C:
			f.send(ctx, &d)
		}
	}
}

func (f *Follower) send(ctx context.Context, d *Digest) {
	if err := Send(ctx, f.Senders, d.Take(f.Host, time.Now())); err != nil {
		f.Failed(err)
	}
}

// last sends the rest, once ctx is done.
func (f *Follower) last(d *Digest) {
	if _, ok := d.Due(); ok {
		f.send(context.Background(), d)
	}
}

// Follow reports the events that read reads, until ctx is done. An error of read that
// comes before that is its own.
func (f *Follower) Follow(ctx context.Context, read func(context.Context, func(event.Event)) error) error {
	events := make(chan event.Event, 256)
	var fault error
	go func() {
		defer close(events)
		fault = read(ctx, func(e event.Event) { events <- e })
	}()
	f.Run(ctx, events)
	for range events { // until the reader has ended
	}
	if ctx.Err() != nil {
		return nil
	}
	return fault
}

// Host names this host in messages.
func Host() string {
	name, err := os.Hostname()
	if err != nil {
		return "this host"
	}
	return name
}

// Test sends a message by each sender and says on out how that went. What could not be
// sent is the error.
func Test(ctx context.Context, out io.Writer, senders []Sender) error {
	m := Message{Title: "picket on " + Host() + ": a test", Text: "This is what a message of picket's " +
		"looks like.\n", At: time.Now()}
	var failed []error
	for _, s := range senders {
		if err := Send(ctx, []Sender{s}, m); err != nil {
			failed = append(failed, err)
			continue
		}
		fmt.Fprintf(out, "%s: sent\n", s.Name())
	}
	if len(failed) > 0 {
		failed = append(failed, fmt.Errorf("%d of %d messages could not be sent", len(failed), len(senders)))
	}
	return errors.Join(failed...)
}
