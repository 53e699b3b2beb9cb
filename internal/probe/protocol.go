// SPDX-License-Identifier: MIT

package probe

import "strconv"

// PortName spells a port as events do: "tcp/22", "ip/47".
func PortName(protocol string, port uint16) string {
	return protocol + "/" + strconv.Itoa(int(port))
}

// ProtocolName spells a protocol number as events do, "ip" for one without a name.
func ProtocolName(protocol uint8) string {
	switch protocol {
	case ProtocolTCP:
		return "tcp"
	case ProtocolUDP:
		return "udp"
	case ProtocolSCTP:
		return "sctp"
	case ProtocolICMP:
		return "icmp"
	case ProtocolICMPv6:
		return "icmpv6"
	}
	return "ip"
}

// Ported reports whether packets of a protocol have ports, in the first four bytes of
// their header.
func Ported(protocol uint8) bool {
	switch protocol {
	case ProtocolTCP, ProtocolUDP, ProtocolSCTP:
		return true
	}
	return false
}

// A Section is the part of a configuration that holds for a protocol: its ports,
// triggers and actions.
type Section uint8

// The sections.
const (
	SectionTCP Section = iota // of TCP and SCTP, which has the ports of TCP
	SectionUDP
	SectionIP // of ICMP and every other protocol
)

// SectionOf returns the section that holds for a protocol.
func SectionOf(protocol uint8) Section {
	switch protocol {
	case ProtocolTCP, ProtocolSCTP:
		return SectionTCP
	case ProtocolUDP:
		return SectionUDP
	}
	return SectionIP
}

// String returns the section's name in the file: "tcp", "udp" or "ip".
func (s Section) String() string { return [...]string{"tcp", "udp", "ip"}[s] }
