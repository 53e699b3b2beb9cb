// SPDX-License-Identifier: MIT

package beside

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"picket/internal/config"
	"picket/internal/event"
	"picket/internal/history"
	"picket/internal/journal"
	"picket/internal/resolve"
	"picket/internal/task"
)

// records write the history of blocks, [history], with the names of their sources,
// [resolve].
type records struct {
	idle
	journal  *journal.Writer
	names    *resolve.Resolver
	recorder *recorder

	missed, unasked uint64 // reported so far
}

func newHistory(c *config.Config, j *journal.Writer) *records {
	names := resolve.Config{
		Confirm: c.Resolve.Confirm, Timeout: time.Duration(c.Resolve.Timeout),
		TTL: time.Duration(c.Resolve.Keep),
	}
	return &records{journal: j, recorder: newRecorder(j), names: resolve.New(names)}
}

func (r *records) tasks() []task.Task {
	named := make(chan struct{})
	names := func(ctx context.Context) error {
		defer close(named)
		return r.names.Run(ctx)
	}
	record := func(ctx context.Context) error { return r.recorder.run(ctx, named) }
	return []task.Task{task.New("names", names), task.New("history", record)}
}

func (r *records) begin(c *config.Config)  { r.recorder.configure(c.History) }
func (r *records) reopen(c *config.Config) { r.recorder.configure(c.History) }

func (r *records) configure(c, before *config.Config) {
	if !c.DryRun && (before.DryRun || c.History != before.History) {
		r.recorder.configure(c.History)
	}
}

func (r *records) fixed(c, before *config.Config) string {
	wanted := c.Resolve
	c.Resolve = before.Resolve
	c.Resolve.Enable = wanted.Enable
	if wanted == c.Resolve {
		return ""
	}
	return "the bounds of [resolve]"
}

func (r *records) blocked(c *config.Config, b *Block) {
	if !b.Renewed {
		r.record(c, b.Event, b.Address)
	}
}

func (r *records) ended(c *config.Config, _ *Block, ev event.Event) {
	if !c.DryRun {
		r.record(c, ev, netip.Addr{})
	}
}

func (r *records) decided(c *config.Config, ev event.Event) { r.record(c, ev, netip.Addr{}) }

// record writes an event into the history. If names are wanted, it waits for the name of the
// source. The address is the one seen, if the source is a prefix.
func (r *records) record(c *config.Config, ev event.Event, address netip.Addr) {
	if c.History.File == "" && c.History.Blocked == "" && !c.Resolve.Enable {
		return
	}
	rec := history.Record{Event: ev, Address: address, Zone: time.Local}
	if p, ok := config.ParseSource(ev.Source); ok && !address.IsValid() && p.IsSingleIP() {
		address = p.Addr()
	}
	if !c.Resolve.Enable || !address.IsValid() {
		r.recorder.queue.Put(rec)
		return
	}
	r.names.Lookup(address, func(name string) {
		rec.Name = name
		if name != "" && ev.Event != "expire" && ev.Event != "unblock" {
			reason := fmt.Sprintf("%s calls itself %s", address, name)
			r.journal.Event(event.Event{
				Event: "notice", Time: time.Now(), Source: ev.Source, Proven: ev.Proven, Reason: reason,
			})
		}
		r.recorder.queue.Put(rec)
	})
}

func (r *records) count(*config.Config) {
	if n := r.recorder.queue.Shed(); n != r.missed {
		r.journal.Notice("", "history: %d lines were not written: the disk is slower than they come",
			n-r.missed)
		r.missed = n
	}
	if n := r.names.Dropped(); n != r.unasked {
		r.journal.Notice("", "%d names were not looked up: too many questions wait already", n-r.unasked)
		r.unasked = n
	}
}
