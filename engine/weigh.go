// SPDX-License-Identifier: MIT

package engine

// Bits of source.marks, beside the heaviest observation of how its packets are made.
const (
	madeMask  = 1<<4 - 1
	markDark  = 1 << 4 // it was in the dark
	markPart  = 1 << 5 // Sibling was weighed
	markPeer  = 1 << 6 // IsFriend was weighed
	aimedMost = 1<<4 - 1
)

// A glance is what is known of a probe when it is weighed.
type glance struct {
	fresh   bool // the port is new to the source
	again   bool // it is not, but the source asks in another hour than before
	targets int  // addresses of ours that the source asked
}

// weigh adds to the score of a source what one probe shows.
func (e *Engine) weigh(p *Probe, s *source, source, target key, g glance, d *Decision) {
	if most := int(s.asked & aimedMost); !g.fresh && !g.again && g.targets <= most {
		return // as most probes are
	}
	score, seen := int(s.score), Observed(0)
	add := func(o Observation) {
		seen |= 1 << o
		score += int(weighs[o].decibans)
	}
	if s.marks&markPeer == 0 && e.connected.Contains(p.Source) {
		s.marks |= markPeer
		add(IsFriend)
	}
	if g.fresh || g.again {
		if o, before := madeOf(p), Observation(s.marks&madeMask); weighs[o].decibans > weighs[before].decibans {
			score -= int(weighs[before].decibans)
			s.marks = s.marks&^madeMask | uint8(o)
			add(o)
		}
	}
	if g.fresh {
		if p.Technique == Connect && p.Sent.proves() {
			add(AsksTrap)
		} else if o := asks(p, e.neighbour(p, source, target)); plain(p) {
			add(o)
		}
		if s.ports > 1 && s.samePort(p) {
			add(SamePort)
		}
		s.setSourcePort(p.SourcePort)
		if s.marks&markPart == 0 && e.networks.others(s.key, e.clock.now) > 0 {
			s.marks |= markPart
			add(Sibling)
		}
	} else if g.again && asks(p, false) == AsksBait {
		add(ComesAgain)
	}
	if most := int(s.asked & aimedMost); g.targets > most {
		if g.targets > 2 {
			add(MoreAddresses)
		}
		s.asked = s.asked&^aimedMost | uint16(min(g.targets, aimedMost))
	}
	s.score = int8(min(max(score, scoreFloor), scoreCeiling))
	d.Observed = seen
}

// samePort reports whether a probe of a new port comes from the source port of
// the one before. A stack takes another for each connection, a raw scanner one for
// all. A socket sends all its datagrams from one, to the ports of its peers.
func (s *source) samePort(p *Probe) bool {
	if p.SourcePort < 1024 || s.asked>>4 != p.SourcePort&0xfff {
		return false
	}
	return p.Technique == SYN || p.Technique == UDP && (p.Port < 1024 || madeOf(p) == MadeEmpty)
}

func (s *source) setSourcePort(port uint16) { s.asked = s.asked&aimedMost | port<<4 }

// plain reports whether what a port is asked for says something: a packet that
// begins nothing may belong to a connection that is forgotten, but for segments
// that no system of today sends, IPv4 without DF and without an option.
func plain(p *Probe) bool {
	switch p.Technique {
	case ACK, Maimon:
		return !p.DontFrag && p.Options == 0 && p.Destination.Is4()
	case Fragment, Unknown, SCTP:
		return false
	}
	return true
}

// madeOf tells what the making of a packet says; the zero Observation is nothing.
func madeOf(p *Probe) Observation {
	switch p.Technique {
	case SYN:
		return madeSYN(p)
	case UDP:
		if head := uint16(28); p.Destination.Is4() && p.Length == head || !p.Destination.Is4() && p.Length == head+20 {
			return MadeEmpty
		}
		return 0
	case ACK, Maimon:
		// nmap's ACK has its window, no options and no DF; those of ipv6toolkit acknowledge nothing.
		if !p.DontFrag && p.Options == 0 && (p.Ack == 0 || rawWindow(p.Window)) {
			return MadeFlags
		}
		if plain(p) {
			return MadeOdd
		}
		return 0
	case ICMP, SCTPInit:
		return MadeRequest
	case FIN, Null, Xmas:
		return MadeFlags
	}
	if p.Technique >= oddFlags && p.Flags&FlagRST == 0 {
		return MadeFlags // a reset with FIN is some stack's answer
	}
	return 0
}

// madeSYN weighs a SYN. What a packet says that came close to its last hop is
// the business of a traceroute.
func madeSYN(p *Probe) Observation {
	switch v4 := p.Destination.Is4(); {
	case RawSYN(p):
		return MadeRaw
	case p.TTL <= nearTTL:
		return 0
	case p.Ack != 0: // RFC 9293, 3.1: without ACK the field says nothing, and stacks leave it 0
		if p.Options == 0 {
			return MadeFlags
		}
		return MadeShort
	case p.Options == 0 && p.Window != 0:
		if b := p.Destination.As16(); v4 && !p.DontFrag && p.Seq == be32(b[12:]) {
			return MadeRaw // Mirai: see ToolOf
		}
		return MadeBare
	case !v4 || p.DontFrag:
		return 0
	case p.Options == optsMSS:
		switch p.Window {
		case 14600, 29200, 64240, windowZMap: // Linux's first windows, of 10, 20 and 44 segments
			return MadeShort
		}
		return 0
	case p.TTL > farTTL && p.Options != optsMSS:
		return MadeFar
	}
	return MadeOdd
}

func be32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}
