// SPDX-License-Identifier: MIT

// Package rehearsal records what a dry run would have done: the responses that the engine
// ordered and that were not made, and how many packets each would have kept off.
//
// It is pure, and bounded: it counts responses beyond 16,384, and does not describe them.
package rehearsal

import (
	"fmt"
	"iter"
	"math"
	"net/netip"
	"slices"
	"time"

	"picket/engine"
	"picket/internal/control"
	"picket/internal/event"
	"picket/internal/probe"
)

// A Rehearsal is the responses of a dry run, and what they would have kept off. Nil stands for
// no dry run. It is for one goroutine.
type Rehearsal struct {
	since    time.Time
	by       map[key]*entry
	lengths  []int // of the prefixes in by, the longest first
	unwanted uint64
	kept     uint64
	sources  map[netip.Prefix]struct{} // with a response, at most most
	told     control.Trial             // as of the last event
}

type key struct {
	response engine.Action
	source   netip.Prefix
}

type entry struct {
	until int64          // by the kernel's clock, as in probes
	row   *control.Block // nil if the response is only counted
}

// most is the most responses that are described, and the most sources that are told apart.
const most = 1 << 14

// New returns a rehearsal that begins now.
func New(now time.Time) *Rehearsal {
	return &Rehearsal{since: now, by: map[key]*entry{}, sources: map[netip.Prefix]struct{}{}}
}

// Blocks counts a probe, and reports whether a block would have kept it off. The kernel mirrors
// no packet of a blocked source.
func (r *Rehearsal) Blocks(p *probe.Probe) bool {
	if r == nil || r.keepsOff(p) != engine.Block {
		return false
	}
	r.unwanted++
	return true
}

// keepsOff counts a probe that a response would have kept off, and returns the response.
func (r *Rehearsal) keepsOff(p *probe.Probe) engine.Action {
	for _, response := range [...]engine.Action{engine.Block, engine.Fence, engine.Dark} {
		for _, bits := range r.lengths {
			source, err := p.Source.Prefix(bits)
			if err != nil {
				continue // longer than an IPv4 address
			}
			e := r.by[key{response, source}]
			if e == nil || p.At >= e.until {
				continue
			}
			if e.row != nil {
				e.row.Drops++
			}
			r.kept++
			return response
		}
	}
	return engine.None
}

// Wants counts a probe as unwanted, unless the reason of its decision is ordinary life.
func (r *Rehearsal) Wants(why engine.Reason) {
	switch why {
	case engine.Backscatter, engine.LateAnswer, engine.Traceroute, engine.Discovery:
	default:
		r.unwanted++
	}
}

// Note books a response that was ordered at a probe.
func (r *Rehearsal) Note(p *probe.Probe, d *engine.Decision, ev *event.Event) {
	if d.Instead.IsValid() {
		delete(r.by, key{d.Action, d.Instead})
	}
	if len(r.by) >= most && len(r.by)%1024 == 0 {
		r.expire(p.At)
	}
	e := &entry{until: p.At + int64(d.For)}
	if len(r.by) < most {
		at := time.Unix(0, p.At)
		row := control.BlockOf(ev, d.Source, d.Action.String(), at, at.Add(d.For))
		e.row = &row
	}
	r.by[key{d.Action, d.Source}] = e
	if len(r.sources) < most {
		r.sources[d.Source] = struct{}{}
	}
	if bits := d.Source.Bits(); !slices.Contains(r.lengths, bits) {
		r.lengths = append(r.lengths, bits)
		slices.SortFunc(r.lengths, func(a, b int) int { return b - a })
	}
}

func (r *Rehearsal) expire(at int64) {
	for k, e := range r.by {
		if at >= e.until {
			delete(r.by, k)
		}
	}
}

// Sum returns the figures without the rows.
func (r *Rehearsal) Sum() *control.Trial {
	return &control.Trial{Since: r.since, Sources: len(r.sources), Unwanted: r.unwanted, Kept: r.kept}
}

// Rows returns the responses that would be in force.
func (r *Rehearsal) Rows(now time.Time) []control.Block {
	r.expire(now.UnixNano())
	list := make([]control.Block, 0, len(r.by))
	for _, e := range r.by {
		if e.row != nil {
			list = append(list, e.row.At(now))
		}
	}
	slices.SortFunc(list, func(a, b control.Block) int { return a.Since.Compare(b.Since) })
	return list
}

// News returns an event about the time since the last one. Ok is false if nothing came.
func (r *Rehearsal) News(now time.Time) (ev event.Event, ok bool) {
	unwanted, kept := r.unwanted-r.told.Unwanted, r.kept-r.told.Kept
	if unwanted == 0 {
		return ev, false
	}
	r.told = *r.Sum()
	return event.Event{
		Event: "trial", Time: now, Action: engine.None.String(),
		Probes: uint32(min(unwanted, math.MaxUint32)), Drops: kept,
		Reason: fmt.Sprintf("%d of %d unwanted probes would have been kept off, %s in this trial",
			kept, unwanted, r.told.Share()),
		Config: "dry_run = true",
	}, true
}

// Ordered returns the responses that were ordered, for the engine to forget.
func (r *Rehearsal) Ordered() iter.Seq2[engine.Action, netip.Prefix] {
	return func(yield func(engine.Action, netip.Prefix) bool) {
		for k := range r.by {
			if !yield(k.response, k.source) {
				return
			}
		}
	}
}
