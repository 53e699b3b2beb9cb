// SPDX-License-Identifier: MIT

package config

import (
	"picket/engine"
	"picket/internal/probe"
	"picket/nft"
)

// Trap is section [trap]: whose connections are answered, and how.
type Trap struct {
	Invite      Invitation `json:"invite"`
	Port        uint16     `json:"port"` // 0 for any free one
	Banner      string     `json:"banner"`
	Connections int        `json:"connections"`
	Time        Duration   `json:"time"`
	Bytes       int        `json:"bytes"`
}

// An Invitation says who is led to the trap from ports other than classic mode's.
// The zero Invitation is InviteOff.
type Invitation uint8

// The invitations.
const (
	InviteOff    Invitation = iota // nobody
	InviteScored                   // who is dark or fenced
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

// Invites reports whether anybody is led to the trap: who is dark or fenced, which
// nobody is in style block, where nothing is blocked, or in a dry run.
func (c *Config) Invites() bool {
	return c.Trap.Invite == InviteScored && !c.DryRun && c.scores()
}

// scores reports whether anybody goes dark or is fenced for what he sends by TCP.
func (c *Config) scores() bool { return c.Block.Style == engine.Graded && c.TCP.Action == engine.Block }

// Traps reports whether the trap has anything to answer.
func (c *Config) Traps() bool {
	return c.TCP.Modes.Has(probe.Classic) || c.Trap.Invite == InviteScored
}

// Connected returns the mode of a completed connection to a port: classic where a
// trap is, else that of the probes that are led from there.
func (c *Config) Connected(port uint16) probe.Mode {
	switch {
	case contains(c.TCP.ports(probe.Classic), port):
		return probe.Classic
	case contains(c.TCP.ports(probe.Stealth), port):
		return probe.Stealth
	}
	return probe.Advanced
}

// invited returns the ports from which probes are led to the trap, classic ones left out.
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
