// SPDX-License-Identifier: MIT

package packet

import (
	"encoding/binary"
	"net/netip"

	"picket/internal/probe"
)

// transport reads the upper-layer header at the start of b, as far as it goes.
func (p *Packet) transport(b []byte) {
	if p.Offset != 0 {
		p.Payload = b
		return
	}
	switch p.Protocol {
	case probe.ProtocolTCP:
		p.tcp(b)
	case probe.ProtocolUDP:
		if p.ports(b) {
			p.Has |= HasKind
		}
		if len(b) >= 8 {
			p.Has |= HasTransport
			p.Payload = b[8:]
		}
	case probe.ProtocolSCTP:
		p.sctp(b)
	default:
		if p.icmpProtocol() {
			p.icmp(b)
			return
		}
		p.Has |= HasKind | HasTransport
		p.Payload = b
	}
}

// icmpProtocol reports whether p is ICMP of its own IP version; that of the other version
// is a protocol like any other.
func (p *Packet) icmpProtocol() bool {
	return p.Protocol == probe.ProtocolICMPv6 && p.V6() || p.Protocol == probe.ProtocolICMP && !p.V6()
}

// ports reads the two ports at the start of TCP, UDP and SCTP.
func (p *Packet) ports(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	p.SourcePort = binary.BigEndian.Uint16(b)
	p.Port = binary.BigEndian.Uint16(b[2:])
	p.Has |= HasPorts
	return true
}

// tcp reads a TCP header (RFC 9293, 3.1).
func (p *Packet) tcp(b []byte) {
	if !p.ports(b) || len(b) < 14 {
		return
	}
	p.Seq = binary.BigEndian.Uint32(b[4:])
	p.Ack = binary.BigEndian.Uint32(b[8:])
	p.Flags = b[13]
	p.Has |= HasKind
	if len(b) < 20 {
		return
	}
	p.Window = binary.BigEndian.Uint16(b[14:])
	p.Has |= HasTransport
	head := int(b[12]>>4) * 4
	switch {
	case head < 20: // no packet that a stack would take, but somebody sent it
		p.Payload = b[20:]
	case head <= len(b):
		p.options(b[20:head], head-20)
		p.Has |= HasOptions
		p.Payload = b[head:]
	default:
		p.options(b[20:], head-20)
	}
}

// options reads a TCP option list (RFC 9293, 3.1) of left bytes, of which b
// was captured. It stops at EOL, at the eighth option and, as the kernel's
// tcp_parse_options (net/ipv4/tcp_input.c), at an option of impossible length.
func (p *Packet) options(b []byte, left int) {
	for shift := 56; shift >= 0 && len(b) > 0 && b[0] != 0; shift -= 8 {
		kind, size := b[0], 1
		if kind != 1 {
			if len(b) < 2 || b[1] < 2 || int(b[1]) > left {
				return
			}
			size = int(b[1])
		}
		p.Options |= uint64(kind) << shift
		if kind == 2 && size == 4 && len(b) >= 4 && p.MSS == 0 {
			p.MSS = binary.BigEndian.Uint16(b[2:])
		}
		if size > len(b) {
			return
		}
		b, left = b[size:], left-size
	}
}

// sctp reads the common header and the first chunk's (RFC 9260, 3.1 to 3.3.3).
func (p *Packet) sctp(b []byte) {
	if !p.ports(b) || len(b) < 13 {
		return
	}
	p.Chunk = b[12]
	p.Has |= HasKind
	switch {
	case p.Chunk != 1 && p.Chunk != 2:
		p.Tag = binary.BigEndian.Uint32(b[4:])
	case len(b) >= 20:
		p.Tag = binary.BigEndian.Uint32(b[16:])
	default:
		return
	}
	p.Has |= HasTransport
	p.Payload = b[12:]
}

// icmp reads an ICMP header (RFC 792, RFC 4443) and, of an error, the packet it quotes.
func (p *Packet) icmp(b []byte) {
	if len(b) < 2 {
		return
	}
	p.Type, p.Code = b[0], b[1]
	p.Has |= HasKind
	if len(b) < 8 {
		return
	}
	p.Has |= HasTransport
	p.Payload = b[8:]
	switch {
	case icmpQuery(p.Protocol, p.Type):
		p.Identifier = binary.BigEndian.Uint16(b[4:])
		p.Has |= HasIdentifier
	case !p.ICMPError():
	case p.Protocol == probe.ProtocolICMP:
		p.embedded4(p.Payload)
	default:
		p.embedded6(p.Payload)
	}
}

// ICMPError reports whether p is an ICMP message that quotes the packet it is
// about (RFC 792; RFC 4443, 2.1).
func (p *Packet) ICMPError() bool {
	if p.Has&HasKind == 0 || !p.icmpProtocol() {
		return false
	}
	if p.V6() {
		return p.Type < 128
	}
	switch p.Type {
	case 3, 4, 5, 11, 12: // unreachable, source quench, redirect, time exceeded, parameter problem
		return true
	}
	return false
}

// icmpQuery reports whether messages of type typ, requests or replies, bear an identifier.
func icmpQuery(protocol, typ uint8) bool {
	if protocol == probe.ProtocolICMPv6 {
		return typ == 128 || typ == 129
	}
	switch typ {
	case 0, 8, 13, 14, 15, 16, 17, 18:
		return true
	}
	return false
}

// embedded4 reads the start of the IPv4 packet that an error quotes.
func (p *Packet) embedded4(b []byte) {
	if len(b) < 20 || b[0]>>4 != 4 || b[0]&15 < 5 {
		return
	}
	p.Embedded.Source = netip.AddrFrom4([4]byte(b[12:16]))
	p.Embedded.Destination = netip.AddrFrom4([4]byte(b[16:20]))
	p.Embedded.Protocol = b[9]
	p.Has |= HasEmbedded
	first := binary.BigEndian.Uint16(b[6:])&0x1fff == 0
	if head := int(b[0]&15) * 4; first && head < len(b) {
		p.Embedded.ports(b[head:])
	}
}

// embedded6 reads the start of the IPv6 packet that an error quotes.
func (p *Packet) embedded6(b []byte) {
	if len(b) < 40 || b[0]>>4 != 6 {
		return
	}
	var f fragmentInfo
	at, next, found := walk(b, b[6], 40, &f)
	source, dest := netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	if !found || source.Is4In6() || dest.Is4In6() {
		return
	}
	p.Embedded.Source, p.Embedded.Destination, p.Embedded.Protocol = source, dest, next
	p.Has |= HasEmbedded
	if f.offset == 0 && at < len(b) {
		p.Embedded.ports(b[at:])
	}
}

// ports reads what distinguishes flows between two addresses.
func (f *Flow) ports(b []byte) {
	switch {
	case probe.Ported(f.Protocol):
		if len(b) >= 4 {
			f.SourcePort = binary.BigEndian.Uint16(b)
			f.Port = binary.BigEndian.Uint16(b[2:])
			f.HasPorts = true
		}
	case f.Protocol == probe.ProtocolICMP, f.Protocol == probe.ProtocolICMPv6:
		if len(b) >= 6 && icmpQuery(f.Protocol, b[0]) {
			f.SourcePort = binary.BigEndian.Uint16(b[4:])
			f.HasPorts = true
		}
	}
}
