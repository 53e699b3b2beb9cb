// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"picket/engine"
	"picket/internal/config"
	"picket/internal/control"
	"picket/internal/event"
	"picket/internal/ledger"
	"picket/internal/lookout"
	"picket/nft"
)

// A person's orders: blocks and their ends, many at once.

// A handWork is a person's block, and its outcome.
type handWork struct {
	blockWork
	outcome *control.Outcome
}

// block blocks by hand. It refuses friends, but not connected peers: the block may be meant to
// end the connection.
func (d *daemon) block(ctx context.Context, r control.Request) ([]*control.Outcome, error) {
	length, err := config.ParseDuration(r.For)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	refuse, c := d.refusal(), d.config
	d.mu.Unlock()
	now := time.Now()
	type order struct {
		source  netip.Prefix
		outcome *control.Outcome
	}
	var list []order
	out := r.Each(func(p netip.Prefix, o *control.Outcome) error {
		if err := refuse(p); err != nil {
			return err
		}
		list = append(list, order{p, o})
		return nil
	})
	var works []*handWork
	for part := range slices.Chunk(list, batch) {
		works = works[:0]
		for _, o := range part {
			w := &handWork{blockWork{
				Ref: ledger.Ref{Response: engine.Block, Source: o.source}, length: time.Duration(length),
				maker:  event.ByHand,
				untold: len(list) > tellEach, event: event.Event{
					Event: "block", Time: now, Source: event.SourceName(o.source), Action: "block",
					For: event.Seconds(length), Reason: r.Reason, Config: event.HandConfig,
				},
			}, o.outcome}
			c.Locate(&w.event, o.source.Addr())
			works = append(works, w)
		}
		if err := d.orders.byHand(ctx, works, now); err != nil {
			return nil, err
		}
		var made []inForce
		for _, w := range works {
			if w.outcome.Error == "" && !w.outcome.Kept {
				made = append(made, inForce{w.Ref, now, now.Add(w.length)})
			}
		}
		if err := d.docket.restore(ctx, made...); err != nil {
			return nil, err
		}
	}
	if len(list) > tellEach {
		d.journal.Notice("", "%d sources are blocked by hand for %s: %s", len(list), length, r.Reason)
	}
	return control.Single(out)
}

// refusal returns a function that says why a source must not be blocked, or nil. The caller has
// the mutex. The function builds its set once, for a long list.
func (d *daemon) refusal() func(netip.Prefix) error {
	friends, allowed, protected := d.friends, d.allowed, engine.NewPrefixes(d.prefixes()...)
	return func(p netip.Prefix) error {
		if !protected.Overlaps(p) {
			return nil
		}
		for _, f := range friends {
			if !f.Prefix.Overlaps(p) {
				continue
			}
			how := "change [ignore] in the configuration"
			if _, is := allowed[f.Prefix]; is {
				how = fmt.Sprintf("\"picket unallow %s\" first", event.SourceName(f.Prefix))
			}
			return fmt.Errorf("%s must not be blocked: %s is protected (%s). To block it all the same, %s",
				event.SourceName(p), event.SourceName(f.Prefix), f.Why, how)
		}
		return nil
	}
}

// byHand makes a person's blocks, from now on. An existing block that lasts longer stays.
func (b *blocker) byHand(list []*handWork, now time.Time) {
	list = slices.DeleteFunc(slices.Clone(list), func(w *handWork) bool {
		w.outcome.Expires = now.Add(w.length)
		if e := b.book.Get(w.Ref); e != nil && e.Until.After(w.outcome.Expires) {
			w.outcome.Expires, w.outcome.Kept = e.Until, true
		}
		return w.outcome.Kept
	})
	blocks := make([]nft.Block, len(list))
	for i, w := range list {
		blocks[i] = w.InKernel(time.Until(now.Add(w.length))) // many wait for those before them
	}
	for i, err := range b.put(blocks) {
		if list[i].outcome.Fail(err); err == nil {
			b.blocked(&list[i].blockWork, now)
		}
	}
}

// unblock ends blocks by hand.
func (d *daemon) unblock(ctx context.Context, r control.Request) ([]*control.Outcome, error) {
	if r.All {
		ended, err := d.orders.unblockAll(ctx)
		slices.SortFunc(ended, netip.Prefix.Compare)
		ended = slices.Compact(ended) // a source may have had several responses
		out := make([]*control.Outcome, len(ended))
		for i, p := range ended {
			out[i] = &control.Outcome{Name: event.SourceName(p)}
		}
		return out, err
	}
	var list []netip.Prefix
	var of []*control.Outcome
	out := r.Each(func(p netip.Prefix, o *control.Outcome) error {
		list, of = append(list, p), append(of, o)
		return nil
	})
	for len(list) > 0 {
		n := min(len(list), batch)
		wrong, err := d.orders.unblock(ctx, list[:n])
		if err != nil {
			return nil, err
		}
		for i, err := range wrong {
			of[i].Fail(err)
		}
		list, of = list[n:], of[n:]
	}
	return control.Single(out)
}

// unblockByHand ends blocks for a person. A source without one is an error.
func (b *blocker) unblockByHand(list []netip.Prefix) []error {
	wrong := make([]error, len(list))
	for i, p := range list {
		n, err := b.unblock(p, event.HandConfig)
		if err == nil && n == 0 {
			err = b.book.NotBlocked(p)
		}
		wrong[i] = err
	}
	return wrong
}

// unblockAll ends every block for a person.
func (b *blocker) unblockAll() (ended []netip.Prefix, err error) {
	for _, e := range b.book.Matching(netip.Prefix{}) {
		ended = append(ended, e.Source)
	}
	if _, err := b.unblock(netip.Prefix{}, event.HandConfig); err != nil {
		return nil, err
	}
	return ended, nil
}

// peersAmong returns the sources that have a TCP connection with this host now. The command
// asks before it blocks them.
func (d *daemon) peersAmong(r control.Request) ([]string, error) {
	peers, err := d.machine.Peers(d.listenerPort())
	if err != nil {
		return nil, err
	}
	set, out := lookout.Set(peers), []string{}
	r.Each(func(p netip.Prefix, o *control.Outcome) error {
		if set.Overlaps(p) {
			out = append(out, o.Name)
		}
		return nil
	})
	return out, nil
}
