// SPDX-License-Identifier: MIT

package probe

import "strconv"

// PortName spells a port as events do: "tcp/22", "ip/47".
func PortName(protocol string, port uint16) string {
	return protocol + "/" + strconv.Itoa(int(port))
}

// ProtocolName spells a protocol number as events do; those without a name of
// their own are "ip".
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
