// SPDX-License-Identifier: MIT

package config

import (
	"picket/engine"
	"picket/internal/probe"
	"picket/nft"
)

// Trap is section [trap]: connections to answer, and how.
type Trap struct {
	Invite      Invitation `json:"invite"`
	Port        uint16     `json:"port"` // 0 for any free one
	Banner      string     `json:"banner"`
	Connections int        `json:"connections"`
	Time        Duration   `json:"time"`
	Bytes       int        `json:"bytes"`
}

// An Invitation names the sources led to the trap from other ports than those of
// classic mode. The zero Invitation is InviteOff.
type Invitation uint8

// The invitations.
const (
	InviteOff    Invitation = iota // nobody
	InviteScored                   // dark and fenced ones
)

// String returns the invitation as configuration spells it.
func (i Invitation) String() string {
	if i == InviteScored {
		return "scored"
	}
	return "off"
}

// MarshalText implements [encoding.TextMarshaler].
func (i Invitation) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

func (t *Trap) read(s *section) {
	choice(s, "invite", &t.Invite, InviteOff, InviteScored)
	number(s, "port", &t.Port, 0, 65535)
	s.text("banner", &t.Banner, 1024)
	number(s, "connections", &t.Connections, 1, 4096)
	s.duration("time", &t.Time, "100ms", "1m")
	number(s, "bytes", &t.Bytes, 0, 4096)
	s.end()
}

// Invites reports whether anybody is led to the trap. Only dark and fenced sources
// are; there are none in style block, where nothing is blocked, and in a dry run.
func (c *Config) Invites() bool {
	return c.Trap.Invite == InviteScored && !c.DryRun && c.scores()
}

// scores reports whether any source goes dark or is fenced for its TCP packets.
func (c *Config) scores() bool { return c.Block.Style == engine.Graded && c.TCP.Action == engine.Block }

// Traps reports whether the trap has anything to answer.
func (c *Config) Traps() bool {
	return c.TCP.Modes.Has(probe.Classic) || c.Trap.Invite == InviteScored
}

// Connected returns the mode of a completed connection to a port: classic at a trap
// port, else the mode of probes to that port.
func (c *Config) Connected(port uint16) probe.Mode {
	switch {
	case contains(c.TCP.ports(probe.Classic), port):
		return probe.Classic
	case contains(c.TCP.ports(probe.Stealth), port):
		return probe.Stealth
	}
	return probe.Advanced
}

// invited returns the ports, without the classic ones, that lead to the trap.
func (c *Config) invited() (out []engine.Ports) {
	if !c.Invites() {
		return nil
	}
	advanced := subtract(c.TCP.ports(probe.Advanced), c.TCP.Exclude)
	watched := append(nft.Merge(c.TCP.ports(probe.Stealth)), advanced...)
	for _, r := range subtract(watched, c.TCP.ports(probe.Classic)) {
		out = append(out, engine.Ports(r))
	}
	return out
}
