// SPDX-License-Identifier: MIT

package packet

import (
	"encoding/binary"
	"net/netip"

	"picket/internal/probe"
)

// maxExtensions bounds the walk over IPv6 extension headers. RFC 8200, 4.1 allows each once and
// destination options twice, but Linux takes any number: an Ethernet frame has room for 182.
const maxExtensions = 256

// The walk goes past these extension headers. They are those of the kernel's
// ipv6_ext_hdr (net/ipv6/exthdrs_core.c), so that what is a TCP packet here is
// one for the rules that mirrored it. Mobility (135), HIP, shim6 and ESP are
// upper layers there and here.
const (
	hopByHop    = 0
	routing     = 43
	fragment    = 44
	auth        = 51
	destination = 60
)

// Decode reads b, which begins with an IP header, into p, and says whether it
// was an IP packet at all. It overwrites the whole of p, never panics and does
// not allocate. b may be cut off anywhere behind the fixed IP header; bytes
// behind the packet's own length (Ethernet padding) are left out. With a
// Reason other than [OK] the fields that p.Has names are still valid.
func Decode(b []byte, p *Packet) Reason {
	*p = Packet{}
	if len(b) == 0 {
		return Short
	}
	switch b[0] >> 4 {
	case 4:
		return p.decode4(b)
	case 6:
		return p.decode6(b)
	}
	return Version
}

// decode4 reads an IPv4 header (RFC 791, 3.1).
func (p *Packet) decode4(b []byte) Reason {
	if len(b) < 20 {
		return Short
	}
	head := int(b[0]&15) * 4
	total := int(binary.BigEndian.Uint16(b[2:]))
	// A length of 0 is a packet that the card was to cut up (TSO, BIG TCP).
	if head < 20 || total != 0 && total < head {
		return Header
	}
	p.Source = netip.AddrFrom4([4]byte(b[12:16]))
	p.Destination = netip.AddrFrom4([4]byte(b[16:20]))
	p.Length = uint32(total)
	p.ID = binary.BigEndian.Uint16(b[4:])
	word := binary.BigEndian.Uint16(b[6:])
	p.DontFrag = word&0x4000 != 0
	p.TTL = b[8]
	p.Protocol = b[9]
	p.Has = HasAddresses | HasProtocol
	if word&0x3fff != 0 {
		p.More = word&0x2000 != 0
		p.Offset = word & 0x1fff << 3
		p.FragmentID = uint32(p.ID)
		p.FragmentAt = uint16(head)
	}
	if total != 0 && total < len(b) {
		b = b[:total]
	}
	if len(b) < head {
		return OK
	}
	p.transport(b[head:])
	return OK
}

// decode6 reads an IPv6 header and its extension headers (RFC 8200, 3 and 4).
func (p *Packet) decode6(b []byte) Reason {
	if len(b) < 40 {
		return Short
	}
	p.Source = netip.AddrFrom16([16]byte(b[8:24]))
	p.Destination = netip.AddrFrom16([16]byte(b[24:40]))
	if p.Source.Is4In6() || p.Destination.Is4In6() {
		p.Source, p.Destination = netip.Addr{}, netip.Addr{}
		return Mapped
	}
	total := int(binary.BigEndian.Uint16(b[4:])) + 40
	if total == 40 && (b[6] == hopByHop || b[6] == probe.ProtocolTCP || b[6] == probe.ProtocolUDP) {
		total = 0 // a jumbogram (RFC 2675), or a packet that the card was to cut up
	}
	if total != 0 && total < len(b) {
		b = b[:total]
	}
	p.Length = uint32(total)
	p.TTL = b[7]
	p.Has = HasAddresses
	at, next := 40, b[6]
	var f fragmentInfo
	if extension(next) {
		var found bool
		if at, next, found = walk(b, next, at, &f); !found {
			switch {
			case at < 0:
				return TooMany
			case total != 0 && at > total:
				return Extension
			}
			return OK // cut off
		}
	}
	p.Protocol = next
	p.Has |= HasProtocol
	if f.offset != 0 || f.more {
		p.Offset, p.More, p.FragmentID, p.FragmentAt = f.offset, f.more, f.id, uint16(f.at)
	}
	if at > len(b) {
		if total != 0 && at > total {
			return Extension
		}
		return OK
	}
	p.transport(b[at:])
	return OK
}

// fragmentInfo is what a fragment header says (RFC 8200, 4.5).
type fragmentInfo struct {
	id     uint32
	offset uint16
	more   bool
	at     int // where the data begins
}

// extension reports whether next is the number of an extension header.
func extension(next uint8) bool {
	switch next {
	case hopByHop, routing, fragment, auth, destination:
		return true
	}
	return false
}

// walk goes from the extension header next at b[at:] to the first other header, or to the
// end of a later fragment's headers. It returns the offset of what follows, which may be
// behind the end of b, and its number. If it finds none, end is how many bytes it needed,
// or -1 for too many headers.
func walk(b []byte, next uint8, at int, f *fragmentInfo) (end int, upper uint8, found bool) {
	for range maxExtensions {
		if !extension(next) {
			return at, next, true
		}
		need := 8 // each is at least this long (RFC 8200, 4.3 to 4.6; RFC 4302, 2.2)
		if at+need > len(b) {
			return at + need, next, false
		}
		upper = b[at]
		switch next {
		case fragment:
			word := binary.BigEndian.Uint16(b[at+2:])
			*f = fragmentInfo{binary.BigEndian.Uint32(b[at+4:]), word &^ 7, word&1 != 0, at + 8}
			if f.offset != 0 {
				return at + 8, upper, true
			}
		case auth:
			need = int(b[at+1])*4 + 8
		default:
			need = int(b[at+1])*8 + 8
		}
		at, next = at+need, upper
	}
	if !extension(next) {
		return at, next, true
	}
	return -1, next, false
}
