// SPDX-License-Identifier: MIT

package notify

import (
	"context"
	"slices"
	"time"

	"picket/internal/event"
)

// A Follower gathers events into messages and sends them, one at a time, until
// it is told to end. It sends what it has gathered before it ends.
type Follower struct {
	Senders []Sender
	Events  []string // kinds of events that are told
	Every   time.Duration
	Host    string
	Failed  func(error) // told why a message was not sent, and each time that happens
}

// Run tells of the events until the channel is closed or ctx is done. Events
// that come while a message is on its way wait in the channel.
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

// last sends what is gathered, once ctx is done.
func (f *Follower) last(d *Digest) {
	if _, ok := d.Due(); ok {
		f.send(context.Background(), d)
	}
}
