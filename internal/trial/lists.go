// SPDX-License-Identifier: MIT

package trial

import (
	"picket/internal/config"
	"picket/internal/probe"
	"picket/internal/replay"
)

// lists answers a replay's questions about a configuration's port lists. There is one
// question for every probe, so a byte for each port remembers the answer. It is for one
// goroutine.
type lists struct {
	bare  config.Config     // without the trap's ports, classic mode's TCP ports
	found [3][1 << 16]uint8 // of TCP, UDP and SCTP
}

// The bits of a port above its mode.
const (
	listKnown   = 1 << 7
	listTrapped = 1 << 6
)

func newLists(c *config.Config) *lists {
	l := &lists{bare: *c}
	l.bare.TCP.Modes = c.TCP.Modes.Without(probe.Classic)
	if trapping(c) {
		for _, r := range c.TCP.Classic {
			for port := int(r.From); port <= int(r.To); port++ {
				l.found[0][port] = listTrapped
			}
		}
	}
	return l
}

// trapping reports whether classic mode has a trap in a configuration.
func trapping(c *config.Config) bool { return c.TCP.Modes.Has(probe.Classic) }

// rules puts the lists into the rules of a replay.
func (l *lists) rules(r *replay.Rules) {
	r.Mode, r.Trap, r.Invited = l.mode, l.trapped, l.invited
}

// mode returns the mode that mirrors a packet to a port, connections to the trap aside.
func (l *lists) mode(protocol uint8, port uint16) probe.Mode {
	return probe.Mode(l.at(protocol, port) &^ (listKnown | listTrapped))
}

// trapped reports whether connections to a TCP port are the trap's.
func (l *lists) trapped(port uint16) bool { return l.at(probe.ProtocolTCP, port)&listTrapped != 0 }

// invited reports whether sources may be led to the trap from a TCP port.
func (l *lists) invited(port uint16) bool {
	return l.bare.Invites() && !l.trapped(port) && l.mode(probe.ProtocolTCP, port) != 0
}

func (l *lists) at(protocol uint8, port uint16) uint8 {
	i := 0
	switch protocol {
	case probe.ProtocolTCP:
	case probe.ProtocolUDP:
		i = 1
	case probe.ProtocolSCTP:
		i = 2
	default:
		return uint8(l.bare.Mode(protocol, port))
	}
	to := &l.found[i][port]
	if *to&listKnown == 0 {
		*to |= uint8(l.bare.Mode(protocol, port)) | listKnown
	}
	return *to
}
