// SPDX-License-Identifier: MIT

package probe

import (
	"net/netip"
	"strings"
)

// Protocol numbers the engine tells apart (IANA, "Assigned Internet Protocol Numbers").
const (
	ProtocolICMP   = 1
	ProtocolTCP    = 6
	ProtocolUDP    = 17
	ProtocolICMPv6 = 58
	ProtocolSCTP   = 132
)

// TCP flag bits as they stand in the header (RFC 9293, section 3.1).
const (
	FlagFIN = 1 << iota
	FlagSYN
	FlagRST
	FlagPSH
	FlagACK
	FlagURG
	FlagECE
	FlagCWR
)

// A Mode says which rule mirrored a probe. The zero Mode is none.
type Mode uint8

// The modes, after PortSentry's.
const (
	Classic  Mode = 1 + iota // a completed connection, or a datagram, to a trap port
	Stealth                  // any packet to a listed port
	Advanced                 // any packet to a port of a range that nothing listens on
)

// Modes is the length of a table indexed by Mode.
const Modes = 4

// String returns the mode as configuration and events spell it.
func (m Mode) String() string {
	switch m {
	case Classic:
		return "classic"
	case Stealth:
		return "stealth"
	case Advanced:
		return "advanced"
	}
	return ""
}

// ParseMode is the inverse of [Mode.String]; ok is false for any other name.
func ParseMode(s string) (m Mode, ok bool) {
	for m := Classic; m <= Advanced; m++ {
		if s == m.String() {
			return m, true
		}
	}
	return 0, false
}

// Sent says what a connection to the trap began with. The zero Sent is SentNothing.
type Sent uint8

// What connections begin with.
const (
	SentNothing Sent = iota // the connection has ended, and nothing was sent
	SentOther               // bytes that are neither of the following
	SentHTTP                // a request of HTTP (RFC 9112, 3)
	SentTLS                 // a handshake of TLS (RFC 8446, 4.1.2)
	SentTorrent             // a handshake of BitTorrent (BEP 3)
	SentNotYet              // the connection was accepted just now; another probe says how it began
)

// BeganWith returns what a connection began with, by its first bytes.
func BeganWith(b []byte) Sent {
	switch {
	case len(b) == 0:
		return SentNothing
	case b[0] == 0x16 && (len(b) < 2 || b[1] == 3): // a record with a handshake in it: RFC 8446, 5.1
		return SentTLS
	case len(b) >= 8 && strings.HasPrefix("\x13BitTorrent protocol", string(b[:min(len(b), 20)])):
		return SentTorrent
	}
	method := 0
	for method < len(b) && b[method] >= 'A' && b[method] <= 'Z' {
		method++
	}
	if method >= 3 && len(b) > method+1 && b[method] == ' ' && (b[method+1] == '/' || b[method+1] == '*' ||
		b[method+1] == 'h') {
		return SentHTTP // a method, and a path, an asterisk or an http URI
	}
	return SentOther
}

// Proves reports whether such a connection proves that its peer scans. One in HTTP or TLS
// does not: whoever writes a page can lead a browser, a link preview or a webhook to any
// port; nor one in BitTorrent: who names an address to a swarm leads all of it there.
func (s Sent) Proves() bool { return s == SentNothing || s == SentOther }

// A Probe is one mirrored packet, as far as judging needs it. It has no pointers to the
// packet and none of its bytes.
type Probe struct {
	At          int64      // nanoseconds since the Unix epoch, by the kernel's or the capture's clock
	Source      netip.Addr // without a zone; IPv4 is never IPv4-mapped
	Destination netip.Addr // likewise

	SourcePort uint16
	Port       uint16    // destination port; of ICMP type<<8|code; of other protocols the protocol number
	Protocol   uint8     // IANA number of the upper-layer protocol
	Mode       Mode      // which rule mirrored it
	Technique  Technique // what the packet is; see [ClassifyTCP], [ClassifySCTP], [ClassifyICMP]
	Sent       Sent      // of Connect: what the connection began with
	Unread     bool      // the packet was too deep or too short to read the port: Port is 0 and means nothing
	Over       bool      // the kernel says that the source sends more than it mirrors
	Held       bool      // the kernel says that the source has passed a trigger by its own count
	Behind     bool      // it was forwarded: its destination is behind this host
	Outward    bool      // it was forwarded from a network behind this host: its source is there

	// The fields below are what tools are recognised by. Those of TCP are
	// zero for other protocols.
	Flags     uint8  // TCP flags
	TTL       uint8  // IPv4 time to live, IPv6 hop limit
	DontFrag  bool   // IPv4 don't-fragment bit
	ID        uint16 // IPv4 identification
	Window    uint16 // TCP window, not scaled
	MSS       uint16 // TCP maximum segment size option, 0 without one
	Options   uint64 // TCP option kinds in order, the first in the highest byte, at most eight
	Seq       uint32 // TCP sequence number; SCTP initiate tag
	Ack       uint32 // TCP acknowledgement number
	Length    uint16 // bytes of the IP packet on the wire
	Interface uint32 // index of the interface it came in by, 0 if unknown
}
