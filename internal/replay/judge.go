// SPDX-License-Identifier: MIT

package replay

import (
	"net/netip"

	"picket/internal/packet"
	"picket/internal/probe"
)

// A run is the state of one replay.
type run struct {
	rules     Rules
	flows     *flows
	fragments *defragmenter
	known     *learned
	questions *questions
	emit      func(*Record)
	sum       Summary
	rec       Record
	packet    *packet.Packet
	flow      *flowID
	whole     packet.Packet // one that came in fragments
	wholeFlow flowID
	frame     frame
	window    window
}

// learn is the first pass.
func (r *run) learn(g *glimpse) {
	if v := r.decode(g); v != Probe || r.frame.mode != 0 {
		return
	}
	learn := r.known
	if len(r.rules.Local) > 0 && !r.local(r.packet.Source) && !within(r.rules.Behind, r.packet.Source) {
		learn = nil // services elsewhere do not matter
	}
	r.flows.track(r.packet, r.flow, r.rec.At, learn, nil)
}

// judge is the second pass.
func (r *run) judge(g *glimpse) {
	r.rec.File, r.rec.Number = g.file, g.number
	if r.rec.Verdict == Probe { // of the packet before
		r.rec.Probe = probe.Probe{}
	}
	r.rec.Verdict = r.verdict(g)
	r.count(&g.record)
	r.emit(&r.rec)
}

func (r *run) count(rec *record) {
	s, at := &r.sum, r.rec.At
	if s.Packets == 0 {
		s.First, s.Last = at, at
	}
	s.First, s.Last = min(s.First, at), max(s.Last, at)
	s.Packets++
	s.Verdicts[r.rec.Verdict]++
}

// decode decodes the packet of g, whole if it came in fragments. Any verdict but Probe is
// final.
func (r *run) decode(g *glimpse) Verdict {
	r.frame, r.packet, r.flow = g.frame, &g.packet, &g.flow
	r.rec.At, r.rec.Raw, r.rec.Packet, r.rec.Answered = g.at, r.frame.ip, nil, false
	r.rec.Mirrored = r.frame.mode != 0
	if r.frame.at != 0 {
		r.rec.At = r.frame.at
	}
	if r.frame.ip == nil {
		return NotIP
	}
	p := r.packet
	r.rec.Packet = p
	if g.reason != packet.OK {
		return Garbage
	}
	if p.Has&packet.HasProtocol == 0 {
		return Cut
	}
	if p.Fragment() && r.frame.mode == 0 {
		whole := r.fragments.add(p, r.frame.ip, r.rec.At)
		if whole == nil {
			return Fragment
		}
		p = &r.whole
		r.rec.Raw, r.rec.Packet, r.packet = whole, p, p
		if packet.Decode(whole, p) != packet.OK || p.Has&packet.HasProtocol == 0 {
			return Garbage
		}
		r.flow = &r.wholeFlow
		r.flow.of(p)
	}
	return Probe
}

// verdict follows the rules of package nft's chain mirror from top to bottom.
func (r *run) verdict(g *glimpse) Verdict {
	if v := r.decode(g); v != Probe {
		return v
	}
	p, f := r.packet, &r.frame
	if f.mode != 0 { // the kernel's rules have judged it already
		if f.kind == "outward" {
			return Own
		}
		if f.mode == probe.Classic && p.Protocol == probe.ProtocolTCP {
			r.sum.Asked++
		}
		v := r.probe(f.mode)
		r.rec.Probe.Over, r.rec.Probe.Held = f.kind == "over", f.kind == "held"
		return v
	}
	// Packets of all kinds count for the flows.
	relation := r.flows.track(p, r.flow, r.rec.At, nil, r.known)
	switch v := r.direction(); {
	case v == Own && (relation == fresh || relation == asked):
		r.questions.note(p, r.rec.At)
		return v
	case v != Probe:
		return v
	case relation == answer:
		return Answer
	case relation == established:
		return Established
	case relation == related:
		return Related
	}
	number, v := aim(p)
	if v != Probe {
		return v
	}
	behind := within(r.rules.Behind, p.Destination)
	if behind {
		if v := stray(p); v != Probe {
			return v
		}
	}
	served, trapped, invited := r.open(p)
	if behind {
		served, trapped, invited = served || r.rec.Answered, false, false
	}
	switch {
	case relation == joined && trapped:
		r.connected(p, probe.Classic)
		return Probe
	case relation == joined && invited:
		r.connected(p, r.rules.Mode(p.Protocol, p.Port))
		return Probe
	case relation == joined:
		return Established
	case served:
		return Open
	case !trapped && !(behind && p.Protocol == probe.ProtocolTCP && p.Flags&handshake == probe.FlagSYN) &&
		r.questions.answers(p, r.rec.At):
		return Late
	}
	mode := probe.Advanced
	if r.rules.Mode != nil {
		mode = r.rules.Mode(p.Protocol, number)
	}
	if trapped && p.Flags&handshake == probe.FlagSYN {
		if relation == asked {
			r.sum.Asked++
		}
		if mode != probe.Stealth {
			mode = probe.Classic
		}
	}
	if mode == 0 {
		return Unmonitored
	}
	if behind && mode == probe.Classic && p.Protocol == probe.ProtocolTCP {
		mode = probe.Advanced
	}
	v = r.probe(mode)
	r.rec.Probe.Behind = behind
	return v
}

// stray returns the verdict on what the chains behind and behind_tcp let be: answers, and
// ICMP.
func stray(p *packet.Packet) Verdict {
	switch p.Protocol {
	case probe.ProtocolTCP:
		if p.Flags&probe.FlagRST != 0 ||
			p.Flags&(probe.FlagSYN|probe.FlagACK) == probe.FlagSYN|probe.FlagACK {
			return Stray
		}
	case probe.ProtocolICMP, probe.ProtocolICMPv6:
		return Housekeeping
	}
	return Probe
}

// connected makes the probe that the trap makes of a connection to it.
func (r *run) connected(p *packet.Packet, mode probe.Mode) {
	if mode == probe.Classic {
		r.sum.Connected++
	}
	r.rec.Probe = probe.Probe{
		At: r.rec.At, Source: p.Source, Destination: p.Destination, SourcePort: p.SourcePort, Port: p.Port,
		Protocol: p.Protocol, Mode: mode, Technique: probe.Connect, Flags: probe.FlagSYN,
		Interface: r.frame.index,
	}
}

// probe hands the packet on as a probe of mode.
func (r *run) probe(mode probe.Mode) Verdict {
	found, ok := r.packet.Probe(mode, r.rec.At, r.frame.index)
	if !ok {
		return Cut
	}
	r.rec.Probe = found
	return Probe
}

// direction rules out packets of, or for, somebody else.
func (r *run) direction() Verdict {
	source, dest := r.packet.Source, r.packet.Destination
	switch {
	case r.frame.cast == castOutgoing, source.IsLoopback(), source == dest:
		return Own
	case r.frame.cast == castBroadcast, r.frame.cast == castMulticast,
		dest.IsMulticast(), dest.IsUnspecified(), dest == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return Broadcast
	case r.frame.cast == castOther:
		return Foreign
	case within(r.rules.Behind, source) && !r.local(dest):
		return Own
	case len(r.rules.Local) == 0, within(r.rules.Behind, dest):
		return Probe
	case r.local(dest):
		if r.subnetBroadcast(dest) {
			return Broadcast
		}
		return Probe
	case r.local(source):
		return Own
	}
	return Foreign
}

func (r *run) local(a netip.Addr) bool { return within(r.rules.Local, a) }

func within(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// subnetBroadcast reports whether a is the broadcast address of an IPv4 prefix of ours
// (RFC 919; RFC 3021 for /31).
func (r *run) subnetBroadcast(a netip.Addr) bool {
	if !a.Is4() {
		return false
	}
	for _, p := range r.rules.Local {
		if p.Bits() < 31 && p.Contains(a) && !p.Contains(a.Next()) {
			return true
		}
	}
	return false
}

// aim returns the port that p is aimed at as [Rules.Mode] takes it. ICMP is a probe only
// of the types that package nft's chain mirror_icmp mirrors.
func aim(p *packet.Packet) (number uint16, v Verdict) {
	if probe.Ported(p.Protocol) {
		if p.Has&packet.HasPorts == 0 {
			return 0, Cut
		}
		return p.Port, Probe
	}
	switch p.Protocol {
	case probe.ProtocolICMP:
		if !p.V6() {
			return uint16(p.Type)<<8 | uint16(p.Code), icmp4(p)
		}
	case probe.ProtocolICMPv6:
		if p.V6() {
			return uint16(p.Type)<<8 | uint16(p.Code), icmp6(p)
		}
	}
	return uint16(p.Protocol), Probe
}

func icmp4(p *packet.Packet) Verdict {
	if p.Has&packet.HasKind == 0 {
		return Cut
	}
	switch p.Type {
	case 8:
		return Echo
	// unreachable, time exceeded, parameter problem; timestamp, information, address mask request
	case 3, 11, 12, 13, 15, 17:
		return Probe
	}
	return Housekeeping
}

func icmp6(p *packet.Packet) Verdict {
	if p.Has&packet.HasKind == 0 {
		return Cut
	}
	switch p.Type {
	case 128:
		return Echo
	case 1, 3, 4, 139: // unreachable, time exceeded, parameter problem; node information query
		return Probe
	}
	return Housekeeping
}

// open reports whether p goes to a port that serves somebody, or else to one whose
// connections the trap takes: a trap's, or one from which it was led there. If the trap
// answered in the capture, a port that answers may be either.
func (r *run) open(p *packet.Packet) (served, trapped, invited bool) {
	if p.Has&packet.HasPorts == 0 {
		return false, false, false
	}
	if r.rules.Open != nil && r.rules.Open(p.Protocol, p.Port) {
		return true, false, false
	}
	trapped = p.Protocol == probe.ProtocolTCP && r.rules.Trap != nil && r.rules.Trap(p.Port)
	r.rec.Answered = r.known.answered(p)
	if r.rules.TrapAnswers && !trapped && r.rules.Invited != nil {
		invited = p.Protocol == probe.ProtocolTCP && r.rules.Invited(p.Port)
	}
	served = r.rec.Answered && !(trapped && r.rules.TrapAnswers) && !invited
	return served, trapped && !served, invited
}
