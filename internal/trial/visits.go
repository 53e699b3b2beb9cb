// SPDX-License-Identifier: MIT

package trial

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"picket/engine"
	"picket/internal/config"
	"picket/internal/describe"
	"picket/internal/probe"
	"picket/internal/replay"
	"picket/nft"
)

// visits are the sets by which the rules choose the packets that wait for the inline
// verdict, and the sources led to the trap.
type visits struct {
	askers    lapsing[netip.Prefix] // of ports that nobody serves
	connected lapsing[netip.Prefix]
	doubted   lapsing[tuple]
	ports     lapsing[led]
	invited   lapsing[guest]
}

// A tuple is the common part of a connection's SYNs, without the destination.
type tuple struct {
	source     netip.Addr
	from, port uint16
}

// led is a source and a port that leads it to the trap.
type led struct {
	source netip.Prefix
	port   uint16
}

// A guest is a source and one of its two kinds of SYNs, each with ports of its own.
type guest struct {
	source netip.Prefix
	crude  bool // completes no connection
}

// A lapsing set keeps and counts its elements, each for a time from its first appearance.
// Like a set of the rules it takes no more when it is full, with maxReacted elements.
type lapsing[K comparable] struct {
	is    map[K]counted
	swept int64
}

type counted struct {
	end int64
	n   int
}

func (l *lapsing[K]) has(k K, at int64) bool { return at < l.is[k].end }

// count adds k and returns its count, 0 if there is no room for it.
func (l *lapsing[K]) count(k K, at int64, stays time.Duration) int {
	if l.is == nil {
		l.is = map[K]counted{}
	}
	c, known := l.is[k]
	switch {
	case at < c.end:
	case known || len(l.is) < maxReacted || l.sweep(at):
		c = counted{end: at + int64(stays)}
	default:
		return 0
	}
	c.n++
	l.is[k] = c
	return c.n
}

// sweep makes room, and reports whether there is any.
func (l *lapsing[K]) sweep(at int64) bool {
	if at-l.swept < int64(time.Second) {
		return false
	}
	l.swept = at
	maps.DeleteFunc(l.is, func(_ K, c counted) bool { return c.end <= at })
	return len(l.is) < maxReacted
}

// inlined reports whether SYNs to services wait.
func (s *side) inlined() bool { return s.config.Inline.Ports == config.InlineOpen }

// meets notes the peer of a packet's connection, once the waiting packets are judged.
func (s *side) meets(rec *replay.Record) {
	if !s.inlined() || rec.Verdict != replay.Established || rec.Packet.Protocol != probe.ProtocolTCP {
		return
	}
	source := s.engine.SourceOf(rec.Packet.Source)
	if !s.visits.connected.has(source, rec.At) {
		s.flush()
		s.visits.connected.count(source, rec.At, nft.PeerTime)
	}
}

// asks notes that a source asked for a port that nobody serves.
func (s *side) asks(p *probe.Probe) {
	if s.inlined() && p.Mode != 0 && probe.Ported(p.Protocol) {
		s.visits.askers.count(s.engine.SourceOf(p.Source), p.At, nft.CountTime)
	}
}

// waits reports whether a packet to a service waits for the inline verdict, by the chains
// doubt and doubtful of package nft, without their limit of the rate.
func (s *side) waits(p *probe.Probe) bool {
	if !s.inlined() || p.Technique != probe.SYN || slices.ContainsFunc(s.config.Forward.Prefixes,
		func(x netip.Prefix) bool { return x.Contains(p.Destination) }) {
		return false
	}
	v, source := &s.visits, s.engine.SourceOf(p.Source)
	if !v.askers.has(source, p.At) && !s.engine.InForce(engine.Dark, p.Source, p.At) {
		few := p.Options == 0 || p.Options == probe.OptionsMSS
		if p.TTL <= nft.NearHops || !few && (p.DontFrag || p.Destination.Is6()) && p.Ack == 0 {
			return false
		}
	}
	return !v.connected.has(source, p.At) &&
		v.doubted.count(tuple{p.Source, p.SourcePort, p.Port}, p.At, nft.DoubtTime) == 1
}

// visit judges a SYN that waits, and reports whether it is dropped.
func (s *side) visit(p *probe.Probe) bool {
	d := s.engine.Doubt(*p)
	if d.Reason == engine.IsProtected || d.Reason == engine.IsOperator {
		return false
	}
	s.kept.Waited++
	if d.Action != engine.None || d.Tell {
		ev := describe.Event(s.config, s.engine, p, &d)
		if d.Action != engine.None {
			s.react(s.engine.SourceOf(p.Source), ev, d.Action)
		}
		s.tell(ev)
	}
	return d.Refused || d.Action == engine.Fence
}

// leads reports whether the rules lead a packet to the trap instead of dropping it, by the
// chains invite, invite_port and invite_again of package nft.
func (s *side) leads(p *probe.Probe) bool {
	if s.config.Trap.Invite != config.InviteScored || p.Technique != probe.SYN || p.Behind ||
		p.Mode != probe.Stealth && p.Mode != probe.Advanced {
		return false
	}
	source := s.engine.SourceOf(p.Source)
	k, v := led{source, p.Port}, &s.visits
	g := guest{source, probe.Crude(p)}
	if !v.ports.has(k, p.At) && v.invited.count(g, p.At, nft.InviteTime) > nft.InvitePorts {
		return false
	}
	n := v.ports.count(k, p.At, nft.InviteTime)
	return 0 < n && n <= nft.InviteEach
}
