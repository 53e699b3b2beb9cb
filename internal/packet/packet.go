// SPDX-License-Identifier: MIT

// Package packet turns the bytes of an IP packet into its fields.
//
// It is pure: no I/O, no clock, no allocation, no copy of the bytes. [Decode]
// reads IPv4 with options, IPv6 with extension headers, TCP with options, UDP,
// SCTP, ICMP and ICMPv6 with the packet an error quotes, and names any other
// protocol by its number.
//
// Mirrored packets are cut (NFLOG's snaplen, a capture's), so a packet that
// ends early is no fault: its beginning is decoded, and [Packet.Has] says how far.
// Only bytes that are no IP packet at all are refused, with a [Reason].
//
// It needs the first byte it gets to be the first of the IP header. Checksums
// are not verified: with offloading, a capture holds packets whose checksum
// the card has yet to write.
package packet

import "net/netip"

// Has is a set of the parts of a [Packet] that were decoded.
type Has uint8

// The parts. Each says which fields of [Packet] are valid.
const (
	// Source, Destination, TTL, Length, and of IPv4 ID, DontFrag and the fragment's fields
	HasAddresses Has = 1 << iota
	HasProtocol      // Protocol; of IPv6 the fragment's fields
	HasPorts         // SourcePort and Port of TCP, UDP and SCTP
	// what tells packets of one protocol apart: TCP Flags, Seq, Ack; SCTP Chunk; ICMP Type and Code
	HasKind
	// the fixed transport header is whole: TCP Window, SCTP Tag, ICMP Identifier; Payload may follow
	HasTransport
	HasOptions    // the TCP option list is whole: Options and MSS
	HasEmbedded   // Embedded, the flow that an ICMP error quotes
	HasIdentifier // Identifier, of ICMP queries and their replies
)

// A Packet is what [Decode] found. Fields whose part is not in Has are zero,
// except for Options and MSS of an option list that was cut off: they hold
// what was seen of it. A Packet refers to the bytes it was decoded from.
type Packet struct {
	Source      netip.Addr // without a zone, never IPv4-mapped
	Destination netip.Addr // likewise
	// what follows the transport header, or the IP headers if the protocol has none known here; as far as
	// captured
	Payload  []byte
	Embedded Flow // what an ICMP error is about
	// TCP option kinds in order, the first in the highest byte, at most eight; NOP (1) counts, EOL (0) ends
	Options uint64
	Seq     uint32 // TCP sequence number
	Ack     uint32 // TCP acknowledgement number
	Tag     uint32 // SCTP initiate tag of an INIT or INIT ACK chunk, else the verification tag
	// bytes of the IP packet on the wire; 0 if the header does not say (offloaded or jumbo)
	Length     uint32
	FragmentID uint32 // IPv4 or IPv6 identification of a fragment
	SourcePort uint16
	Port       uint16 // destination port
	ID         uint16 // IPv4 identification
	Window     uint16 // TCP window, not scaled
	MSS        uint16 // TCP maximum segment size option, 0 without one
	Identifier uint16 // ICMP identifier (RFC 792, RFC 4443)
	Offset     uint16 // bytes of the original packet before this fragment's data
	FragmentAt uint16 // where the fragment's data begins in the decoded bytes
	Has        Has
	// IANA number of the upper-layer protocol; of a later IPv6 fragment, of the first header in it
	Protocol uint8
	TTL      uint8 // IPv4 time to live, IPv6 hop limit
	Flags    uint8 // TCP flags
	Chunk    uint8 // SCTP type of the first chunk
	Type     uint8 // ICMP type
	Code     uint8 // ICMP code
	DontFrag bool  // IPv4 don't-fragment bit
	More     bool  // another fragment follows
}

// A Flow is one direction of a conversation, as an ICMP error quotes it: the
// packet that Source sent and that did not arrive.
type Flow struct {
	Source      netip.Addr
	Destination netip.Addr
	SourcePort  uint16 // of TCP, UDP and SCTP; of ICMP queries the identifier; else 0
	Port        uint16 // of TCP, UDP and SCTP
	Protocol    uint8
	HasPorts    bool // SourcePort and Port are valid
}

// Fragment reports whether p is a piece of a larger packet. An atomic fragment (RFC 6946)
// is a whole packet.
func (p *Packet) Fragment() bool { return p.More || p.Offset != 0 }

// V6 reports whether p is an IPv6 packet.
func (p *Packet) V6() bool { return p.Source.Is6() }

// A Reason says why bytes are no IP packet. The zero Reason is OK.
type Reason uint8

// The reasons.
const (
	OK        Reason = iota
	Short            // fewer bytes than the fixed IP header has
	Version          // neither IPv4 nor IPv6
	Header           // a header length that cannot be: under 20 bytes, or beyond the packet's end
	Mapped           // an IPv4-mapped IPv6 address, which must not be on a wire (RFC 4942, 2.2)
	Extension        // an extension header beyond the packet's end
	TooMany          // more extension headers than anyone sends
	Reasons          // how many there are; for tables indexed by Reason
)

// String returns the reason in words.
func (r Reason) String() string {
	switch r {
	case OK:
		return "ok"
	case Short:
		return "shorter than an IP header"
	case Version:
		return "neither IPv4 nor IPv6"
	case Header:
		return "impossible header length"
	case Mapped:
		return "IPv4-mapped IPv6 address"
	case Extension:
		return "extension header beyond the end of the packet"
	case TooMany:
		return "too many extension headers"
	}
	return "unknown"
}
