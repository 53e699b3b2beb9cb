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

// An Action is what is done about a source once its trigger is exceeded. The
// zero Action is None.
type Action uint8

// The actions. Log, Block and Run are PortSentry's BLOCK_TCP and BLOCK_UDP 0, 1
// and 2, and what a [Policy] may ask for. Dark, Fence and Block are the
// responses, each of which drops more than the one before.
const (
	None  Action = iota
	Log          // tell, do nothing
	Run          // run the operator's command, block nothing
	Dark         // leave what the source sends to ports that nobody serves unanswered
	Fence        // let the flows of the source live, drop whatever else it sends
	Block        // drop whatever the source sends
)

// Actions is how many values a table indexed by Action needs.
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

// Drops reports whether the kernel drops something because of a: whether it is
// one of the three responses.
func (a Action) Drops() bool { return a >= Dark }

// A Style says what is done about a source that is to be blocked. The zero Style
// is Graded.
type Style uint8

// The styles.
const (
	// Graded does what the evidence bears: a source above a limit is fenced for
	// as long as what it sent may be forged, and blocked once it has proven itself.
	Graded Style = iota

	// BlockOnly blocks in any case, for a shorter time if unproven, and spares
	// whom a block would harm.
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

// MaxSlow is the highest Config.Slow: what is kept of a source that was
// forgotten holds that many ports.
const MaxSlow = traceSlots

// MaxTrigger is the highest trigger: a source's record holds that many ports
// and one more.
const MaxTrigger = portSlots - 1

// A Policy says what is done about the probes of one protocol.
type Policy struct {
	Action  Action           // None, Log, Run or Block
	Trigger [probe.Modes]int // by Mode: distinct ports let pass before the reaction, 0 to MaxTrigger
}

// Config is what an operator decides about judging. The zero value of a field
// means its default.
type Config struct {
	// Sources is how many sources are known at most, 262,144 by default. One
	// costs 251 bytes. It counts when the engine is made and not after.
	Sources int

	// Window is the time in which distinct ports count, 10 minutes by
	// default, from 4 seconds to 18 hours. It is kept to a 32nd of itself.
	Window time.Duration

	// Sweep is how many addresses of this host a source may ask before the
	// reaction, 8 by default, 1 to 48. One that asks about ports that nothing
	// listens on at more addresses than that looks for hosts and not for a service.
	Sweep int

	// Slow is how many distinct ports a source may ask in SlowWindow, not all of
	// them inside Window, before the reaction, 15 by default, 5 to 16.
	Slow int

	// SlowWindow is how long a port counts towards Slow, 7 days by default
	// from 1 hour to 60 days. It is kept to half of itself.
	SlowWindow time.Duration

	// ToolTrigger is the trigger at most in force for a source that is certain
	// to use a scanner's tool, MaxTrigger by default, which leaves the triggers
	// alone. Below 2 it is 2 in effect, since a tool is certain at the third port.
	ToolTrigger int

	// Flood is how many sources never seen before may come in 8.6 seconds before
	// they are a flood, 1,500 by default.
	Flood int

	// Decoys is what is done about sources whose probes are copies of others'
	// (nmap -D): Log, the default, or Block, which counts copies like any probe.
	// With Log, copies count for nobody up to the trigger, and in style BlockOnly
	// up to twice that.
	Decoys Action

	// Distributed is what is done about a source that takes part in a
	// distributed scan: Log, the default, or Block. In style Graded either fences.
	Distributed Action

	// Score is what is done about a source whose score says that it scans: Dark,
	// the default, or Log, which weighs nothing. It holds for Style Graded and for
	// protocols whose action is Block.
	Score Action

	// Prefix6 is the length of the IPv6 prefix that is one source, 64 by
	// default (RFC 6177: the smallest assignment to a site), 48 to 128.
	Prefix6 int

	// TCP holds for TCP and SCTP, UDP for UDP, IP for ICMP and every other protocol.
	TCP, UDP, IP Policy

	// Trap says that a listener answers classic TCP ports: a SYN there is then
	// not judged, the completed connection is. Without one, the SYN is all
	// there will be.
	Trap bool

	// Invited is the TCP ports from which probes of suspicious sources are led to
	// that listener: a connection completed there is none to a trap port, and proves
	// together with as many as the trigger. Nil is none.
	Invited []Ports

	// Protected is never blocked.
	Protected Prefixes

	// Operators is where the operator is logged in from, by the system's own
	// record. It is neither fenced nor blocked on unproven evidence.
	Operators Prefixes

	// Known is the lists of sources that the operator knows by name. Of a source
	// that is in several, the first counts.
	Known []Known

	// OnLink is the prefixes of this host's links. Their IPv6 addresses are
	// sources each, and no block is of a prefix that overlaps one.
	OnLink Prefixes

	// Ephemeral is the first port that this host uses for connections of its
	// own (net.ipv4.ip_local_port_range), 32768 by default. What comes to
	// such a port from a well-known one is an answer that came late.
	Ephemeral uint16

	// Style says whether a source that is not proven is fenced or blocked.
	Style Style

	// For is how long a source stays blocked the first, second, ... time,
	// by default 10 minutes, 1 hour, 1 day, 1 week. The last holds for every
	// further time.
	For []time.Duration

	// UnprovenFor is For for sources that were not shown to be real, by default
	// 5 minutes, 30 minutes, 1 hour. Neither they nor For are exceeded. A fence
	// lasts [FenceTime] instead.
	UnprovenFor []time.Duration

	// UnprovenRate is how many unproven sources may be blocked, or have the
	// operator's command run, in a minute, 900 by default. So many again may
	// come at once after a quiet minute. Fences have a rate of their own.
	UnprovenRate int

	// Memory is how long after the end of a block its source still counts as
	// an offender, 30 days by default.
	Memory time.Duration

	// Blocks is how many blocks there are at most, and how many fences, 131,072
	// by default.
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
