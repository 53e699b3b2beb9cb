// SPDX-License-Identifier: MIT

package engine

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"time"

	"picket/internal/probe"
)

// An Action answers a source above its trigger. The zero Action is None.
type Action uint8

// The actions. Log, Block and Run are PortSentry's BLOCK_TCP and BLOCK_UDP 0, 1
// and 2, and what a [Policy] may ask for. Dark, Fence and Block are the
// responses, each of which drops more than the one before.
const (
	None  Action = iota
	Log          // report, do nothing else
	Run          // run the operator's command, block nothing
	Dark         // drop what the source sends to ports that nobody serves
	Fence        // let known flows of the source go on, drop all else from it
	Block        // drop whatever the source sends
)

// Actions is the length of a table indexed by Action.
const Actions = int(Block) + 1

// String returns the action as configuration and events spell it.
func (a Action) String() string {
	switch a {
	case Log:
		return "log"
	case Run:
		return "run"
	case Dark:
		return "dark"
	case Fence:
		return "fence"
	case Block:
		return "block"
	}
	return "none"
}

// MarshalText implements encoding.TextMarshaler.
func (a Action) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// Drops reports whether a is one of the three responses, for which the kernel drops
// packets.
func (a Action) Drops() bool { return a >= Dark }

// A Style says how to answer a source above a limit. The zero Style is Graded.
type Style uint8

// The styles.
const (
	// Graded fences a source above a limit while its packets may be forged, and blocks it
	// once it has proven itself.
	Graded Style = iota

	// BlockOnly always blocks, an unproven source for a shorter time, and spares those a
	// block would harm.
	BlockOnly
)

// String returns the style as configuration spells it.
func (s Style) String() string {
	if s == BlockOnly {
		return "block"
	}
	return "graded"
}

// MarshalText implements encoding.TextMarshaler.
func (s Style) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Ports is a closed range of ports.
type Ports struct{ From, To uint16 }

// MaxSlow is the highest Config.Slow: the trace of a forgotten source holds so many
// ports.
const MaxSlow = traceSlots

// MaxTrigger is the highest trigger: a source's record holds one port more.
const MaxTrigger = portSlots - 1

// A Policy says what is done about the probes of one protocol.
type Policy struct {
	Action  Action           // None, Log, Run or Block
	Trigger [probe.Modes]int // by Mode: distinct ports let pass before the reaction, 0 to MaxTrigger
}

// Config is what an operator decides about judging. The zero value of a field
// means its default.
type Config struct {
	// Sources is the most sources known at once, 262,144 by default, at 251 bytes each.
	// [Engine.Reconfigure] does not change it.
	Sources int

	// Window is the time in which distinct ports count, 10 minutes by default, from 4
	// seconds to 18 hours. It is exact to a 32nd of itself.
	Window time.Duration

	// Sweep is how many addresses of this host a source may probe before the reaction, 8
	// by default, 1 to 48. Beyond that it looks for hosts and not for a service.
	Sweep int

	// Slow is how many distinct ports a source may probe in SlowWindow, not all of them
	// inside Window, before the reaction, 15 by default, 5 to 16.
	Slow int

	// SlowWindow is how long a port counts towards Slow, 7 days by default from 1 hour to
	// 60 days. It is exact to half of itself.
	SlowWindow time.Duration

	// ToolTrigger is the highest trigger for a source certain to use a scanner's tool.
	// MaxTrigger, the default, changes no trigger. Less than 2 acts as 2: a tool is
	// certain at the third port.
	ToolTrigger int

	// Flood is how many new sources may come in 8.6 seconds, 1,500 by default. More are a
	// flood.
	Flood int

	// Decoys answers sources whose probes copy those of others (nmap -D): Log, the
	// default, or Block, which counts copies like any probe. With Log, copies count for
	// nobody up to the trigger, and in style BlockOnly up to twice that.
	Decoys Action

	// Distributed answers a source that takes part in a distributed scan: Log, the
	// default, or Block. In style Graded either fences.
	Distributed Action

	// Score answers a source whose score says that it scans: Dark, the default, or Log,
	// which weighs nothing. It holds for Style Graded and for protocols whose action is
	// Block.
	Score Action

	// Prefix6 is the length of the IPv6 prefix that is one source, 64 by
	// default (RFC 6177: the smallest assignment to a site), 48 to 128.
	Prefix6 int

	// TCP holds for TCP and SCTP, UDP for UDP, IP for ICMP and every other protocol.
	TCP, UDP, IP Policy

	// Trap says that a listener answers classic TCP ports. The engine then judges the
	// completed connection and not its SYN.
	Trap bool

	// Invited is the TCP ports from which suspicious sources are led to that listener. A
	// connection completed there proves a scan only with others, as many as the trigger.
	// Nil is none.
	Invited []Ports

	// Protected is never blocked.
	Protected Prefixes

	// Operators is where the operator is logged in from, by the system's own
	// record. It is neither fenced nor blocked on unproven evidence.
	Operators Prefixes

	// Known is the operator's named lists of sources. A source in several counts in the
	// first.
	Known []Known

	// OnLink is the prefixes of this host's links. Each of their IPv6 addresses is a
	// source of its own, and no blocked prefix overlaps one.
	OnLink Prefixes

	// Ephemeral is the first port that this host uses for connections of its own
	// (net.ipv4.ip_local_port_range), 32768 by default. A packet from a lower port to one
	// of these may be a late answer.
	Ephemeral uint16

	// Style says whether an unproven source is fenced or blocked.
	Style Style

	// For is how long a source stays blocked the first, second, ... time,
	// by default 10 minutes, 1 hour, 1 day, 1 week. The last holds for every
	// further time.
	For []time.Duration

	// UnprovenFor is For of unproven sources, by default 5 minutes, 30 minutes, 1 hour.
	// Their blocks last the shorter of the two. A fence lasts [FenceTime] instead.
	UnprovenFor []time.Duration

	// UnprovenRate is how many unproven sources may be blocked, or have the operator's
	// command run, in a minute, 900 by default, and as many more at once after a quiet
	// minute. Fences have a rate of their own.
	UnprovenRate int

	// Memory is how long after the end of a block its source still counts as
	// an offender, 30 days by default. The last offenders are remembered, a quarter as
	// many as Sources, at 100 bytes each.
	Memory time.Duration

	// Blocks is the most blocks at once, and the most fences, 131,072 by default.
	Blocks int
}

const (
	defaultSources   = 1 << 18
	maxSources       = 1 << 20
	defaultWindow    = 10 * time.Minute
	minWindow        = 4 * time.Second
	maxWindow        = 18 * time.Hour
	defaultPrefix6   = 64
	defaultSweep     = 8
	maxSweep         = 48 // of the 64 bits that addresses are counted in
	defaultSlow      = 15
	minSlow          = patternAt
	defaultSlowTime  = 7 * 24 * time.Hour
	minSlowTime      = time.Hour
	maxSlowTime      = 60 * 24 * time.Hour
	defaultTool      = MaxTrigger
	defaultFlood     = 1500
	defaultRate      = 900
	maxRate          = 1_000_000
	defaultEphemeral = 32768
	defaultMemory    = 30 * 24 * time.Hour
	defaultBlocks    = 1 << 17
)

// withDefaults fills in what is zero and refuses what is out of bounds.
func (c Config) withDefaults() (Config, error) {
	c.Sources = cmp.Or(c.Sources, defaultSources)
	c.Window = cmp.Or(c.Window, defaultWindow)
	c.Sweep = cmp.Or(c.Sweep, defaultSweep)
	c.Slow = cmp.Or(c.Slow, defaultSlow)
	c.SlowWindow = cmp.Or(c.SlowWindow, defaultSlowTime)
	c.ToolTrigger = cmp.Or(c.ToolTrigger, defaultTool)
	c.Flood = cmp.Or(c.Flood, defaultFlood)
	c.Decoys, c.Distributed = cmp.Or(c.Decoys, Log), cmp.Or(c.Distributed, Log)
	c.Score = cmp.Or(c.Score, Dark)
	c.Prefix6 = cmp.Or(c.Prefix6, defaultPrefix6)
	c.Ephemeral = cmp.Or(c.Ephemeral, defaultEphemeral)
	if len(c.For) == 0 {
		c.For = []time.Duration{10 * time.Minute, time.Hour, 24 * time.Hour, 7 * 24 * time.Hour}
	}
	if len(c.UnprovenFor) == 0 {
		c.UnprovenFor = []time.Duration{5 * time.Minute, 30 * time.Minute, time.Hour}
	}
	c.UnprovenRate = cmp.Or(c.UnprovenRate, defaultRate)
	c.Memory = cmp.Or(c.Memory, defaultMemory)
	c.Blocks = cmp.Or(c.Blocks, defaultBlocks)
	return c, c.check()
}

// check refuses what is out of bounds.
func (c *Config) check() error {
	for _, b := range [...]struct {
		name            string
		is, least, most int
	}{
		{"sources", c.Sources, 16, maxSources},
		{"sweep", c.Sweep, 1, maxSweep},
		{"slow", c.Slow, minSlow, MaxSlow},
		{"tool trigger", c.ToolTrigger, 0, MaxTrigger},
		{"flood", c.Flood, 1, math.MaxInt32},
		{"IPv6 prefix length", c.Prefix6, 48, 128},
		{"unproven rate", c.UnprovenRate, 1, maxRate},
		{"blocks", c.Blocks, 1, 1 << 20},
	} {
		if b.is < b.least || b.is > b.most {
			return fmt.Errorf("%s %d: want %d to %d", b.name, b.is, b.least, b.most)
		}
	}
	switch {
	case c.Window < minWindow || c.Window > maxWindow:
		return fmt.Errorf("window %v: want %v to %v", c.Window, minWindow, maxWindow)
	case c.SlowWindow < minSlowTime || c.SlowWindow > maxSlowTime:
		return fmt.Errorf("slow window %v: want %v to %v", c.SlowWindow, minSlowTime, maxSlowTime)
	case c.Score != Log && c.Score != Dark:
		return errors.New("score: want log or dark")
	case c.Decoys != Log && c.Decoys != Block, c.Distributed != Log && c.Distributed != Block:
		return errors.New("decoys, distributed: want log or block")
	}
	for _, p := range [...]Policy{c.TCP, c.UDP, c.IP} {
		if p.Action == Dark || p.Action == Fence || int(p.Action) >= Actions {
			return fmt.Errorf("action %v: want log, run or block", p.Action)
		}
		for _, t := range p.Trigger {
			if t < 0 || t > MaxTrigger {
				return fmt.Errorf("trigger %d: want 0 to %d", t, MaxTrigger)
			}
		}
	}
	return nil
}

// offenders is how many are remembered at most.
func (c *Config) offenders() int { return min(c.Blocks, c.Sources/4) }

// policy returns the policy for a protocol.
func (c *Config) policy(protocol uint8) *Policy {
	switch probe.SectionOf(protocol) {
	case probe.SectionTCP:
		return &c.TCP
	case probe.SectionUDP:
		return &c.UDP
	}
	return &c.IP
}

// trigger returns the trigger in force for a probe. A completed connection that
// proves nothing, or nothing yet, counts as any other probe of a port does.
func (p *Policy) trigger(x *probe.Probe) int {
	if x.Technique == probe.Connect && !x.Sent.Proves() {
		return max(p.Trigger[x.Mode], p.Trigger[probe.Advanced])
	}
	return p.Trigger[x.Mode]
}
