// SPDX-License-Identifier: MIT

package packet

import (
	"math"

	"picket/engine"
)

// Probe maps p to what the engine judges: a packet that a rule of mode
// mirrored at that time (nanoseconds since the Unix epoch) from the interface
// of that index (0 if unknown). It is false if too little of p is there to
// name what was probed: no address, no protocol, or no port.
//
// A fragment whose upper-layer header is elsewhere, wholly or in part, is
// [engine.Fragment], with its port if that is in it. A packet that is cut
// between its ports and its kind is [engine.Unknown]. Connect is never found
// here: a completed handshake takes more than one packet.
func (p *Packet) Probe(mode engine.Mode, at int64, ifindex uint32) (engine.Probe, bool) {
	technique, ok := p.Technique()
	if !ok {
		return engine.Probe{}, false
	}
	probe := engine.Probe{
		At:          at,
		Source:      p.Source,
		Destination: p.Destination,
		SourcePort:  p.SourcePort,
		Port:        p.Port,
		Protocol:    p.Protocol,
		Mode:        mode,
		Technique:   technique,
		Flags:       p.Flags,
		TTL:         p.TTL,
		DontFrag:    p.DontFrag,
		ID:          p.ID,
		Window:      p.Window,
		MSS:         p.MSS,
		Options:     p.Options,
		Seq:         p.Seq,
		Ack:         p.Ack,
		Length:      uint16(min(p.Length, math.MaxUint16)),
		Interface:   ifindex,
	}
	switch {
	case p.Protocol == engine.ProtocolTCP, p.Protocol == engine.ProtocolUDP:
	case p.Protocol == engine.ProtocolSCTP:
		probe.Seq = p.Tag
	case p.icmpProtocol():
		probe.Port = uint16(p.Type)<<8 | uint16(p.Code)
	default:
		probe.Port = uint16(p.Protocol)
	}
	return probe, true
}

// Technique names the packet, or returns false under the conditions of [Packet.Probe].
func (p *Packet) Technique() (engine.Technique, bool) {
	has := p.Has
	switch {
	case has&HasProtocol == 0:
		return engine.Unknown, false
	case p.Fragment() && has&HasKind == 0:
		return engine.Fragment, true
	}
	switch p.Protocol {
	case engine.ProtocolTCP:
		if has&HasKind != 0 {
			return engine.ClassifyTCP(p.Flags), true
		}
		return engine.Unknown, has&HasPorts != 0
	case engine.ProtocolUDP:
		return engine.UDP, has&HasPorts != 0
	case engine.ProtocolSCTP:
		if has&HasKind != 0 {
			return engine.ClassifySCTP(p.Chunk), true
		}
		return engine.Unknown, has&HasPorts != 0
	}
	if p.icmpProtocol() {
		return engine.ClassifyICMP(p.V6(), p.Type), has&HasKind != 0
	}
	return engine.IPProto, true
}
