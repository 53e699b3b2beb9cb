// SPDX-License-Identifier: MIT

package engine

import (
	"fmt"
	"time"
)

// An Action is what is done about a source once its trigger is exceeded. The
// zero Action is None.
type Action uint8

// The actions, PortSentry's BLOCK_TCP and BLOCK_UDP 0, 1 and 2.
const (
	None  Action = iota
	Log          // 0: tell, do nothing
	Block        // 1: add the source to the blocked set
	Run          // 2: run the operator's command, block nothing
)

// String returns the action as configuration and events spell it.
func (a Action) String() string {
	switch a {
	case Log:
		return "log"
	case Block:
		return "block"
	case Run:
		return "run"
	}
	return "none"
}

// ParseAction is the inverse of [Action.String]; ok is false for any other name.
func ParseAction(s string) (a Action, ok bool) {
	for a := Log; a <= Run; a++ {
		if s == a.String() {
			return a, true
		}
	}
	return None, false
}

// MaxTrigger is the highest trigger: a source's record holds that many ports
// and one more.
const MaxTrigger = portSlots - 1

// A Policy says what is done about the probes of one protocol.
type Policy struct {
	Action  Action
	Trigger [Modes]int // by Mode: distinct ports let pass before the reaction, 0 to MaxTrigger
}

// Config is what an operator decides about judging. The zero value of a field
// means its default.
type Config struct {
	// Sources is how many sources are known at most, 262,144 by default. One
	// costs 240 bytes. It counts when the engine is made and not after.
	Sources int

	// Window is the time in which distinct ports count, 10 minutes by
	// default, from 4 seconds to 18 hours.
	Window time.Duration

	// Prefix6 is the length of the IPv6 prefix that is one source, 64 by
	// default (RFC 6177: the smallest assignment to a site), 48 to 128.
	Prefix6 int

	// TCP holds for TCP and SCTP, UDP for UDP, IP for ICMP and every other protocol.
	TCP, UDP, IP Policy

	// Trap says that a listener answers classic TCP ports: a SYN there is then
	// not judged, the completed connection is. Without one, the SYN is all
	// there will be.
	Trap bool

	// Protected is never blocked.
	Protected Prefixes

	// Ephemeral is the first port that this host uses for connections of its
	// own (net.ipv4.ip_local_port_range), 32768 by default. What comes to
	// such a port from a well-known one is an answer that came late.
	Ephemeral uint16

	// For is how long a source stays blocked the first, second, ... time,
	// by default 10 minutes, 1 hour, 1 day, 1 week. The last holds for every
	// further time.
	For []time.Duration

	// Memory is how long after the end of a block its source still counts as
	// an offender, 30 days by default.
	Memory time.Duration

	// Blocks is how many blocks there are at most, 131,072 by default.
	Blocks int
}

const (
	defaultSources   = 1 << 18
	maxSources       = 1 << 20
	defaultWindow    = 10 * time.Minute
	minWindow        = 2 * tick
	maxWindow        = 18 * time.Hour
	defaultPrefix6   = 64
	defaultEphemeral = 32768
	defaultMemory    = 30 * 24 * time.Hour
	defaultBlocks    = 1 << 17
)

// withDefaults fills in what is zero and refuses what is out of bounds.
func (c Config) withDefaults() (Config, error) {
	if c.Sources == 0 {
		c.Sources = defaultSources
	}
	if c.Window == 0 {
		c.Window = defaultWindow
	}
	if c.Prefix6 == 0 {
		c.Prefix6 = defaultPrefix6
	}
	if c.Ephemeral == 0 {
		c.Ephemeral = defaultEphemeral
	}
	if len(c.For) == 0 {
		c.For = []time.Duration{10 * time.Minute, time.Hour, 24 * time.Hour, 7 * 24 * time.Hour}
	}
	if c.Memory == 0 {
		c.Memory = defaultMemory
	}
	if c.Blocks == 0 {
		c.Blocks = defaultBlocks
	}
	switch {
	case c.Sources < 16 || c.Sources > maxSources:
		return c, fmt.Errorf("sources %d: want 16 to %d", c.Sources, maxSources)
	case c.Window < minWindow || c.Window > maxWindow:
		return c, fmt.Errorf("window %v: want %v to %v", c.Window, minWindow, maxWindow)
	case c.Prefix6 < 48 || c.Prefix6 > 128:
		return c, fmt.Errorf("IPv6 prefix length %d: want 48 to 128", c.Prefix6)
	case c.Blocks < 1 || c.Blocks > 1<<20:
		return c, fmt.Errorf("blocks %d: want 1 to %d", c.Blocks, 1<<20)
	}
	for _, p := range [...]Policy{c.TCP, c.UDP, c.IP} {
		for _, t := range p.Trigger {
			if t < 0 || t > MaxTrigger {
				return c, fmt.Errorf("trigger %d: want 0 to %d", t, MaxTrigger)
			}
		}
	}
	return c, nil
}

// policy returns the policy for a protocol.
func (c *Config) policy(protocol uint8) *Policy {
	switch protocol {
	case ProtocolTCP, ProtocolSCTP:
		return &c.TCP
	case ProtocolUDP:
		return &c.UDP
	}
	return &c.IP
}
