// SPDX-License-Identifier: MIT

// Package trial runs captures through the engine, by one configuration or by two
// at once, and prints who would be blocked, when and why.
//
// It needs no privilege and touches no kernel: time is that of the capture.
package trial

import (
	"net/netip"
	"slices"
	"time"

	"picket/engine"
	"picket/internal/config"
	"picket/internal/describe"
	"picket/internal/event"
	"picket/internal/replay"
)

// maxReacted is how many sources that were reacted to a replay keeps apart;
// the engine's own books hold 131,072 blocks at once by default.
const maxReacted = 1 << 18

// A side is one configuration of a trial, its engine and what that has found
// so far.
type side struct {
	config  *config.Config
	engine  *engine.Engine
	tell    func(event.Event)
	reacted map[netip.Prefix]*reacted
	order   []*reacted
	more    uint64 // reactions to sources beyond maxReacted
	blocked int    // how many of order
	dropped uint64 // packets of blocked sources, which the kernel would not have shown
	seen    map[string]int
	waiting []engine.Probe // see queue
}

// reacted is a source that was reacted to, all or a part of it.
type reacted struct {
	first, last event.Event
	times       int
	blocked     bool          // not merely told of, or the command run
	whole       time.Duration // of all reactions
}

func newSide(c *config.Config, rules replay.Rules) (*side, error) {
	e, err := engine.New(c.Engine(slices.Concat(c.Ignore.Addresses, rules.Local), 0, trapping(c)), 0)
	if err != nil {
		return nil, err
	}
	return &side{
		config: c, engine: e, tell: func(event.Event) {}, reacted: map[netip.Prefix]*reacted{},
		seen: map[string]int{}, waiting: make([]engine.Probe, 0, 32),
	}, nil
}

// queue judges a packet of a capture, together with those before and behind
// it: the engine finds what it knows of 32 sources in the time of a few.
func (s *side) queue(rec *replay.Record) {
	if rec.Verdict != replay.Probe {
		return
	}
	if s.waiting = append(s.waiting, rec.Probe); len(s.waiting) == cap(s.waiting) {
		s.flush()
	}
}

// flush judges what waits.
func (s *side) flush() {
	s.engine.Expect(s.waiting)
	for i := range s.waiting {
		s.observe(&s.waiting[i])
	}
	s.waiting = s.waiting[:0]
}

// observe judges one probe. What the kernel would have dropped is not seen,
// and has no decision; then dropped is true.
func (s *side) observe(p *engine.Probe) (d engine.Decision, dropped bool) {
	e := s.engine
	if e.Blocked(p.Source, p.At) {
		s.dropped++
		return d, true
	}
	if e.InForce(engine.Fence, p.Source, p.At) || e.InForce(engine.Dark, p.Source, p.At) {
		s.dropped++
	}
	d = e.Observe(*p)
	if d.Action == engine.None && !d.Tell {
		return d, false
	}
	ev := describe.Event(s.config, e, p, &d)
	if d.NewPattern {
		s.seen[ev.Pattern]++
		s.tell(describe.Pattern(ev, &d))
	}
	if d.Action != engine.None {
		s.react(e.SourceOf(p.Source), ev)
	}
	if d.Action != engine.None || !d.NewPattern {
		s.tell(ev)
	}
	return d, false
}

func (s *side) react(source netip.Prefix, ev event.Event) {
	x := s.reacted[source]
	if x == nil {
		if len(s.order) >= maxReacted {
			s.more++
			return
		}
		x = &reacted{first: ev}
		s.reacted[source] = x
		s.order = append(s.order, x)
	}
	if ev.Action == engine.Block.String() && !x.blocked {
		x.blocked = true
		s.blocked++
	}
	x.last = ev
	x.times++
	x.whole += time.Duration(ev.For)
}
