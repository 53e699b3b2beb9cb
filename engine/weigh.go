// SPDX-License-Identifier: MIT

package engine

import "picket/internal/probe"

// Bits of source.marks, beside the heaviest observation of how its packets are made.
const (
	madeMask  = 1<<4 - 1
	markDark  = 1 << 4 // it was in the dark
	markPart  = 1 << 5 // Sibling was weighed
	markPeer  = 1 << 6 // IsFriend was weighed
	markAgain = 1 << 7 // ComesAgain was weighed
	aimedMost = 1<<4 - 1
)

// markTrap is a bit of source.agreed, as marks has none left: AsksTrap was weighed.
const markTrap = 1 << 7

// Thresholds and bounds of a score, in decibans.
const (
	scoreFloor   = -20
	scoreCeiling = 70
	suspectAt    = 16 // one ordinary visitor in 40: its probes may be named a pattern
	darkAt       = 30 // one in a thousand: dark for hours
	darkLongAt   = 40 // one in ten thousand: for a day
	darkLongest  = 50 // one in a hundred thousand: for a week
)

// A glance is what is known of a probe when it is weighed.
type glance struct {
	fresh   bool  // the port is new to the source
	again   bool  // the source's last probe was in another hour
	targets int   // addresses of ours that the source asked
	since   int64 // nanoseconds since the source's probe before, a retransmission or not
}

// weigh adds to the score of a source what one probe shows.
func (e *Engine) weigh(p *probe.Probe, s *source, source, target probe.Key, g glance, d *Decision) {
	trap := p.Technique == probe.Connect && p.Sent.Proves() && s.agreed&markTrap == 0 &&
		!e.cfg.invites(p.Port)
	if most := int(s.asked & aimedMost); !g.fresh && !g.again && !trap && g.targets <= most {
		return // as most probes are
	}
	score, seen := int(s.score), probe.Observed(0)
	add := func(o probe.Observation) {
		if o == 0 {
			return
		}
		seen |= 1 << o
		score += o.Decibans()
	}
	if s.marks&markPeer == 0 && e.connected.Contains(p.Source) {
		s.marks |= markPeer
		add(probe.IsFriend)
	}
	if g.fresh || g.again {
		if o, before := probe.MadeOf(p),
			probe.Observation(s.marks&madeMask); o.Decibans() > before.Decibans() {
			score -= before.Decibans()
			s.marks = s.marks&^madeMask | uint8(o)
			add(o)
		}
	}
	if trap {
		s.agreed |= markTrap
		add(probe.AsksTrap)
	}
	if g.fresh {
		if o := probe.Asks(p, e.neighbour(p, source, target)); !trap && probe.Plain(p) {
			add(o)
		}
		if s.ports > 1 && s.samePort(p) {
			add(probe.SamePort)
		}
		if s.marks&markPart == 0 && e.networks.Others(s.Key, e.clock.now) > 0 {
			s.marks |= markPart
			add(probe.Sibling)
		}
	} else if g.again && s.marks&markAgain == 0 && probe.Asks(p, false) == probe.AsksBait {
		s.marks |= markAgain
		add(probe.ComesAgain)
	}
	if most := int(s.asked & aimedMost); g.targets > most {
		if g.targets > 2 {
			add(probe.MoreAddresses)
		}
		s.asked = s.asked&^aimedMost | uint16(min(g.targets, aimedMost))
	}
	s.score = int8(min(max(score, scoreFloor), scoreCeiling))
	d.Observed = seen
}

// samePort reports whether a probe of a new port comes from the source port of the one
// before. A stack takes another for each connection, a raw scanner one for all. A
// datagram socket sends from one port to the ports of all its peers.
func (s *source) samePort(p *probe.Probe) bool {
	if !s.fromPort(p.SourcePort) {
		return false
	}
	return p.Technique == probe.SYN || p.Technique == probe.UDP &&
		(p.Port < 1024 || probe.MadeOf(p) == probe.MadeEmpty)
}

// fromPort reports whether the last new port was probed from that source port, by the
// bits known of it.
func (s *source) fromPort(port uint16) bool { return port >= 1024 && s.asked>>4 == port&0xfff }

func (s *source) setSourcePort(port uint16) { s.asked = s.asked&aimedMost | port<<4 }
