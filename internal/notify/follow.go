// SPDX-License-Identifier: MIT

package notify

import (
	"context"
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
