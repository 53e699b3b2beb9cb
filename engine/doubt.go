// SPDX-License-Identifier: MIT

package engine

import "picket/internal/probe"

// certainAt is the score at which an ordinary SYN is turned away too: one visitor in a
// million reaches it. It takes a dozen ports that scanners seek and nobody serves here,
// or four that bots look for.
const certainAt = 60

// Doubt judges a SYN to a served port while the SYN waits. Decision.Refused says to drop
// it; with the action Fence it is dropped too, once the fence is made.
//
// A visit to a service is no probe: it counts no port, makes no record, and a source not
// known to scan is let in. The verdict rests on what the source showed before, at ports
// that nobody serves, and on how this packet is made. A packet that a client's system may
// send is turned away only with a fence, one an hour at most: somebody else may have sent
// the rest in its name.
func (e *Engine) Doubt(p probe.Probe) (d Decision) {
	e.stats.Doubts++
	if !e.clock.advance(p.At) {
		e.reset(p.At)
	}
	d.Reason = LetIn
	if !e.scored() || e.cfg.TCP.Action != Block || e.exempt(&p, &d) {
		return d
	}
	k, now := e.keyOf(p.Source), e.clock.now
	s := e.sources.peek(k)
	odd := e.weighVisit(&p, k, s, &d)
	if d.Score < darkAt || !odd && d.Score < certainAt {
		return d
	}
	d.Reason, d.Refused = Turned, odd
	switch _, _, fenced := e.covering(Fence, p.Source, now); {
	case fenced:
		d.Reason = AlreadyFenced // it waited when the fence was made
	case s == nil, s.flags&decoyed != 0, e.newcomers.On:
		// One packet, a decoy's packets and a flood do not say who the source is.
		d.Refused = odd
	default:
		e.fence(&p, k, s, now, &d)
		d.Refused = odd
	}
	if !d.Refused && d.Action != Fence {
		d.Reason = LetIn
	}
	d.Tell = d.Action == Fence || d.Refused && e.tell.Allow(now, tellEach, tellBurst)
	return d
}

// exempt reports whether a source is let in unweighed.
func (e *Engine) exempt(p *probe.Probe, d *Decision) bool {
	switch {
	case e.cfg.Protected.Contains(p.Source):
		d.Reason = IsProtected
	case e.cfg.Operators.Contains(p.Source):
		d.Reason = IsOperator
	case e.connected.Contains(p.Source):
		d.Reason = IsConnected
	case e.cfg.known(p.Source) != nil: // the list says what becomes of it
	default:
		return false
	}
	return true
}

// weighVisit weighs a SYN to a service with what is known of its source, s unless it
// is nil, and reports whether the packet itself is one that clients do not send.
func (e *Engine) weighVisit(p *probe.Probe, k probe.Key, s *source, d *Decision) (odd bool) {
	add := func(o probe.Observation) {
		d.Observed |= 1 << o
		d.Score += o.Decibans()
	}
	made, before := probe.MadeOf(p), probe.Observation(0)
	if s != nil {
		if s.ports > 0 {
			far := *p
			far.TTL = 64 // a source that probed ports is no traceroute, whatever its TTL
			made = probe.MadeOf(&far)
		}
		before = probe.Observation(s.marks & madeMask)
		d.Score, d.Probes, d.Pattern, d.Tool = int(s.score), s.probes, s.named, s.tool
		d.Within, d.Inside = int(s.live), int(s.live)
	}
	if made.Decibans() > before.Decibans() {
		d.Score -= before.Decibans()
		add(made)
	}
	if s != nil && s.ports > 0 && s.samePort(p) {
		add(probe.SamePort)
		odd = true
	}
	if (s == nil || s.marks&markPart == 0) && e.networks.Others(k, e.clock.now) > 0 {
		add(probe.Sibling)
	}
	return odd || made != 0
}
