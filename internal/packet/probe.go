// SPDX-License-Identifier: MIT

package packet

import (
	"math"

	"picket/internal/probe"
)

// Probe maps p to what the engine judges: a packet mirrored by a rule of that mode, at
// that time (nanoseconds since the Unix epoch), from the interface of that index (0 if
// unknown). It returns false if p does not name what was probed: no address, no protocol,
// or no port.
//
// A fragment without its whole upper-layer header is [probe.Fragment], with its port if
// that is in it. A packet cut between its ports and its kind is [probe.Unknown]. Connect
// is never found here: a completed handshake takes more than one packet.
func (p *Packet) Probe(mode probe.Mode, at int64, ifindex uint32) (probe.Probe, bool) {
	technique, ok := p.Technique()
	if !ok {
		return probe.Probe{}, false
	}
	out := probe.Probe{
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
	case p.Protocol == probe.ProtocolTCP, p.Protocol == probe.ProtocolUDP:
	case p.Protocol == probe.ProtocolSCTP:
		out.Seq = p.Tag
	case p.icmpProtocol():
		out.Port = uint16(p.Type)<<8 | uint16(p.Code)
	default:
		out.Port = uint16(p.Protocol)
	}
	return out, true
}

// Technique names the packet, or returns false under the conditions of [Packet.Probe].
func (p *Packet) Technique() (probe.Technique, bool) {
	has := p.Has
	switch {
	case has&HasProtocol == 0:
		return probe.Unknown, false
	case p.Fragment() && has&HasKind == 0:
		return probe.Fragment, true
	}
	switch p.Protocol {
	case probe.ProtocolTCP:
		if has&HasKind != 0 {
			return probe.ClassifyTCP(p.Flags), true
		}
		return probe.Unknown, has&HasPorts != 0
	case probe.ProtocolUDP:
		return probe.UDP, has&HasPorts != 0
	case probe.ProtocolSCTP:
		if has&HasKind != 0 {
			return probe.ClassifySCTP(p.Chunk), true
		}
		return probe.Unknown, has&HasPorts != 0
	}
	if p.icmpProtocol() {
		return probe.ClassifyICMP(p.V6(), p.Type), has&HasKind != 0
	}
	return probe.IPProto, true
}
