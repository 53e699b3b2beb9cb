// SPDX-License-Identifier: MIT

package trial

import (
	"picket/engine"
	"picket/internal/config"
	"picket/internal/probe"
	"picket/internal/replay"
)

// kept counts the packets that the kernel would have kept off, each by the first rule that
// drops it, and the most that could be kept off.
type kept struct {
	Dark     uint64 `json:"dark"`          // to ports that nobody serves, of sources in the dark
	Fence    uint64 `json:"fence"`         // of fenced sources, beginning something
	Block    uint64 `json:"block"`         // of blocked sources
	Door     uint64 `json:"door"`          // to served ports, refused for their form
	Inline   uint64 `json:"inline"`        // to served ports, refused by the inline verdict
	Waited   uint64 `json:"waited"`        // for the inline verdict, with any outcome
	Led      uint64 `json:"led"`           // to the trap, by invitation
	Unwanted uint64 `json:"unwanted"`      // to ports that nobody serves, ordinary life left out
	Limit    uint64 `json:"limit"`         // of these, all but the first of each source
	Served   uint64 `json:"served"`        // to served ports, beginning something
	Before   uint64 `json:"served_before"` // of these, kept off for earlier packets of their source

	fencedBefore uint64 // of Before, by fences

	sources map[probe.Key]struct{} // of unwanted packets, maxReacted at most
}

// all returns how many packets were kept off.
func (k *kept) all() uint64 { return k.Dark + k.Fence + k.Block + k.Door + k.Inline }

// unwanted counts a packet to a port that nobody serves.
func (k *kept) unwanted(p *probe.Probe) {
	k.Unwanted++
	if len(k.sources) >= maxReacted {
		k.Limit++
		return
	}
	source := probe.Words(p.Source)
	if _, again := k.sources[source]; again {
		k.Limit++
		return
	}
	if k.sources == nil {
		k.sources = map[probe.Key]struct{}{}
	}
	k.sources[source] = struct{}{}
}

// ordinary reports whether a probe got no response because it is ordinary.
func ordinary(r engine.Reason) bool {
	return r == engine.Backscatter || r == engine.LateAnswer || r == engine.Traceroute ||
		r == engine.Discovery
}

// drop counts a probe that the kernel keeps off. Dropped reports whether the kernel does,
// unseen whether the engine does not see the probe either: the first probes to ports are
// still mirrored of a dark or fenced source, none of a blocked one.
func (s *side) drop(p *probe.Probe) (unseen, dropped bool) {
	var to *uint64
	switch e := s.engine; {
	case e.InForce(engine.Block, p.Source, p.At):
		s.kept.Block++
		return true, true
	case e.InForce(engine.Fence, p.Source, p.At):
		to = &s.kept.Fence
	case e.InForce(engine.Dark, p.Source, p.At):
		to = &s.kept.Dark
	default:
		return false, false
	}
	if s.leads(p) {
		s.kept.Led++
		return false, false
	}
	*to++
	return false, true
}

// served judges a packet that begins something at a served port. It returns the packet's
// fate, "" if it passed.
func (s *side) served(p *probe.Probe) (what string) {
	s.kept.Served++
	switch e := s.engine; {
	case e.InForce(engine.Block, p.Source, p.At):
		s.kept.Block++
		s.kept.Before++
		return "of a blocked source: the kernel would have dropped it"
	case e.InForce(engine.Fence, p.Source, p.At):
		s.kept.Fence++
		s.kept.Before++
		s.kept.fencedBefore++
		return "of a fenced source: the kernel would have dropped it"
	case s.config.Door.Raw == config.DoorDrop && probe.RawSYN(p):
		s.kept.Door++
		return "the door would have refused it: no client makes such packets"
	case s.waits(p):
		if s.visit(p) {
			s.kept.Inline++
			return "it would have waited, and the inline verdict refused it"
		}
		return "it would have waited for the inline verdict, and passed"
	}
	return ""
}

// aimed returns the part of a record to judge: a probe, or a packet to a served port.
func aimed(rec *replay.Record) (p probe.Probe, served, ok bool) {
	switch rec.Verdict {
	case replay.Probe:
		return rec.Probe, false, true
	case replay.Open:
		p, ok = rec.Packet.Probe(0, rec.At, 0)
		return p, true, ok
	}
	return p, false, false
}
