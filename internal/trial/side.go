// SPDX-License-Identifier: MIT

// Package trial runs captures through the engine, with one configuration or two at
// once, and prints the sources that would be blocked, the times and the reasons.
//
// It needs no privilege and touches no kernel. Time is that of the capture.
package trial

import (
	"net/netip"
	"slices"
	"time"

	"picket/engine"
	"picket/internal/config"
	"picket/internal/describe"
	"picket/internal/event"
	"picket/internal/probe"
	"picket/internal/replay"
)

// maxReacted is the most sources with a reaction that a replay keeps apart; the engine's
// own books hold 131,072 blocks at once by default.
const maxReacted = 1 << 18

// A side is one configuration of a trial, its engine and the findings so far.
type side struct {
	config  *config.Config
	engine  *engine.Engine
	tell    func(event.Event)
	reacted map[netip.Prefix]*reacted
	order   []*reacted
	more    uint64 // reactions to sources beyond maxReacted
	blocked int    // how many of order
	kept    kept
	visits  visits
	seen    map[string]int
	waiting []probe.Probe // see queue
	width   int           // of the terminal
	door    []bool        // true for a packet to a served port, by its place in waiting
}

// reacted is a source with a reaction, to all or a part of it.
type reacted struct {
	first, last event.Event
	times       int
	did         uint8         // bit set of the reactions, by engine.Action
	whole       time.Duration // of all reactions
}

func newSide(c *config.Config, rules replay.Rules) (*side, error) {
	ec := c.Engine(slices.Concat(c.Ignore.Addresses, rules.Local), 0, trapping(c))
	ec.OnLink = engine.NewPrefixes(links(rules.Local)...)
	e, err := engine.New(ec, 0)
	if err != nil {
		return nil, err
	}
	return &side{
		config: c, engine: e, tell: func(event.Event) {}, reacted: map[netip.Prefix]*reacted{},
		seen: map[string]int{}, waiting: make([]probe.Probe, 0, 32), door: make([]bool, 0, 32),
	}, nil
}

// links returns the IPv6 links of watched addresses: the /64 of each (RFC 4291, 2.5.4).
// A capture says no more about them.
func links(local []netip.Prefix) (out []netip.Prefix) {
	for _, p := range local {
		if p.Addr().Is6() && p.Bits() >= 64 {
			out = append(out, netip.PrefixFrom(p.Addr(), 64).Masked())
		}
	}
	return out
}

// queue judges a packet of a capture together with its neighbours: the engine finds 32
// sources in the time of a few.
func (s *side) queue(rec *replay.Record) {
	s.meets(rec)
	p, served, ok := aimed(rec)
	if !ok {
		return
	}
	s.door = append(s.door, served)
	if s.waiting = append(s.waiting, p); len(s.waiting) == cap(s.waiting) {
		s.flush()
	}
}

// flush judges the waiting packets.
func (s *side) flush() {
	s.engine.Expect(s.waiting)
	for i := range s.waiting {
		if s.door[i] {
			s.served(&s.waiting[i])
			continue
		}
		s.observe(&s.waiting[i])
	}
	s.waiting, s.door = s.waiting[:0], s.door[:0]
}

// observe judges one probe. Dropped reports whether the kernel would have dropped it. A
// dropped probe of a blocked source is not seen, and has no decision.
func (s *side) observe(p *probe.Probe) (d engine.Decision, dropped bool) {
	e := s.engine
	s.asks(p)
	unseen, dropped := s.drop(p)
	if unseen {
		s.kept.unwanted(p)
		return d, true
	}
	if d = e.Observe(*p); !ordinary(d.Reason) {
		s.kept.unwanted(p)
	}
	if d.Action == engine.None && !d.Tell {
		return d, dropped
	}
	ev := describe.Event(s.config, e, p, &d)
	if d.NewPattern {
		s.seen[ev.Pattern]++
		s.tell(describe.Pattern(p, ev, &d))
	}
	if d.Action != engine.None {
		s.react(e.SourceOf(p.Source), ev, d.Action)
	}
	if d.Action != engine.None || !d.NewPattern {
		s.tell(ev)
	}
	return d, dropped
}

func (s *side) react(source netip.Prefix, ev event.Event, did engine.Action) {
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
	if ev.Action == did.String() { // done, not only reported by a dry run
		if did == engine.Block && x.did>>engine.Block&1 == 0 {
			s.blocked++
		}
		x.did |= 1 << did
	}
	x.last = ev
	x.times++
	x.whole += time.Duration(ev.For)
}
