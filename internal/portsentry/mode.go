// SPDX-License-Identifier: MIT

package portsentry

import (
	"fmt"
	"slices"
	"strings"
)

// A Mode is the mode on PortSentry's command line: one of [Modes].
type Mode string

// Modes returns the modes of both versions: 1.2's -tcp, -stcp, -atcp and so on,
// one for each process, and 2's --stealth and --connect.
func Modes() []Mode {
	return []Mode{"tcp", "udp", "stcp", "sudp", "atcp", "audp", "stealth", "connect"}
}

// ParseMode reads a mode, with or without leading hyphens.
func ParseMode(s string) (Mode, error) {
	m := Mode(strings.TrimLeft(s, "-"))
	if !slices.Contains(Modes(), m) {
		return "", fmt.Errorf("mode %q: one of %v", s, Modes())
	}
	return m, nil
}

// of returns picket's mode for a protocol, "tcp" or "udp", or "".
func (m Mode) of(protocol string) string {
	switch string(m) {
	case protocol, "connect":
		return "classic"
	case "s" + protocol, "stealth":
		return "stealth"
	case "a" + protocol:
		return "advanced"
	}
	return ""
}

// modesOf returns picket's modes for a protocol, in their order.
func modesOf(protocol string, modes []Mode) []string {
	var out []string
	for _, want := range []string{"classic", "stealth", "advanced"} {
		if slices.ContainsFunc(modes, func(m Mode) bool { return m.of(protocol) == want }) {
			out = append(out, want)
		}
	}
	return out
}
