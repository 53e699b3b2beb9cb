// SPDX-License-Identifier: MIT

package engine

import (
	"math/bits"
	"net/netip"
	"strconv"
	"time"
)

// A Source is what is known of one source, for an event or a person.
type Source struct {
	Prefix      netip.Prefix // the address, or the IPv6 prefix
	First, Last time.Time
	Probes      uint32   // without retransmissions
	Repeated    uint32   // retransmissions
	Ports       uint32   // distinct ports; one that 32 others followed counts again
	Targets     int      // distinct addresses of ours, at least
	List        []string // the latest distinct ports, at most 32: "tcp/22"
	Proven      bool
	Offences    int // reactions to it that are remembered
	Blocked     bool
}

// Describe returns what is known of the source that a belongs to; ok is false
// if nothing is.
func (e *Engine) Describe(a netip.Addr) (src Source, ok bool) {
	k := keyOf(a, e.cfg.Prefix6)
	s := e.sources.peek(k)
	if s == nil {
		return Source{}, false
	}
	length := 32
	if a.Is6() {
		length = e.cfg.Prefix6
	}
	src = Source{
		Prefix: netip.PrefixFrom(a, length).Masked(),
		First:  time.Unix(0, s.first), Last: time.Unix(0, s.last),
		Probes: s.probes, Repeated: s.again,
		Ports: s.ports, Targets: bits.OnesCount64(s.targets),
		Proven: s.flags&proven != 0, Offences: e.blocks.offence(k, s.last), Blocked: e.Blocked(a, s.last),
	}
	for i := range int(s.used) {
		at := (int(s.next) + i) % int(s.used) // the oldest first
		if int(s.used) < portSlots {
			at = i
		}
		src.List = append(src.List, PortName(classNames[s.protocols>>(2*at)&3], s.portAt(at)))
	}
	return src, true
}

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
