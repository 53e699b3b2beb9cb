// SPDX-License-Identifier: MIT

package config

import (
	"errors"
	"io/fs"
	"net/netip"
	"time"

	"picket/engine"
	"picket/examples"
	"picket/internal/probe"
	"picket/nflog"
	"picket/nft"
)

// DefaultPath is the configuration's path without --config.
const DefaultPath = "/etc/picket/picket.toml"

// Config is the effective configuration. Its JSON form is what "picket check
// --json" prints.
type Config struct {
	File    string   `json:"file"` // "" for the embedded default
	DropIns []string `json:"drop_ins"`
	DryRun  bool     `json:"dry_run"`
	Memory  Size     `json:"memory"` // of the process; see Bound
	NFLOG   NFLOG    `json:"nflog"`
	Detect  Detect   `json:"detect"`
	TCP     Protocol `json:"tcp"`
	UDP     Protocol `json:"udp"`
	IP      Protocol `json:"ip"`
	Ignore  Ignore   `json:"ignore"`
	Known   []Known  `json:"known"`
	Block   Block    `json:"block"`
	Trap    Trap     `json:"trap"`
	Door    Door     `json:"door"`
	Inline  Inline   `json:"inline"`
	Forward Forward  `json:"forward"`

	Evidence Evidence `json:"evidence"`

	Run       Run       `json:"run"`
	Route     Route     `json:"route"`
	HostsDeny HostsDeny `json:"hosts_deny"`
	History   History   `json:"history"`
	Resolve   Resolve   `json:"resolve"`
	Origin    Origin    `json:"origin"`
	Notify    Notify    `json:"notify"`
	Metrics   Metrics   `json:"metrics"`

	NoRules  bool           `json:"-"` // no kernel drops: the engine takes the lists that drop
	listed   []netip.Prefix // of the lists with PolicyDrop
	Warnings Faults         `json:"-"` // of the host, not of the file
	unfit    Faults         // warnings that forbid to run; see Runnable
}

// NFLOG is section [nflog].
type NFLOG struct {
	Group   uint16 `json:"group"`
	Snaplen uint32 `json:"snaplen"`
}

// Detect is section [detect].
type Detect struct {
	Sources    int `json:"sources"` // after parsing never 0: as many as fit
	wanted     int
	Window     Duration      `json:"window"`
	Sweep      int           `json:"sweep"`
	Slow       int           `json:"slow"`
	SlowWindow Duration      `json:"slow_window"`
	Tool       int           `json:"tool_trigger"`
	Flood      int           `json:"flood"`
	Score      engine.Action `json:"score"`
	Decoys     engine.Action `json:"decoys"`
	Shared     engine.Action `json:"distributed"`
	IPv6Prefix int           `json:"ipv6_prefix"`
}

// Protocol is section [tcp], [udp] or [ip].
type Protocol struct {
	Preset   string        `json:"preset,omitempty"`
	Modes    Modes         `json:"modes"`
	Action   engine.Action `json:"action"`
	Trigger  Triggers      `json:"trigger"`
	Classic  Ports         `json:"classic"`
	Stealth  Ports         `json:"stealth"`
	Advanced Ports         `json:"advanced"`
	Exclude  Ports         `json:"exclude"`
}

// Ignore is section [ignore].
type Ignore struct {
	Addresses  []netip.Prefix `json:"addresses"` // with those of Files
	Files      []string       `json:"files"`
	Interfaces []string       `json:"interfaces"`
	Own        bool           `json:"own"`
	Gateways   bool           `json:"gateways"`
	Resolvers  bool           `json:"resolvers"`
	Connected  bool           `json:"connected"`
}

// Block is section [block].
type Block struct {
	Style        engine.Style `json:"style"`
	For          Durations    `json:"for"`
	UnprovenFor  Durations    `json:"unproven_for"`
	UnprovenRate int          `json:"unproven_rate"` // a minute
	Memory       Duration     `json:"memory"`
	Max          int          `json:"max"`
}

// Load reads the file at path over the defaults, then its drop-ins, picket.d/*.toml
// beside it. If there is no file at [DefaultPath], the defaults hold. The error
// is [Faults].
func Load(path string) (*Config, error) {
	d, faults := documents(path)
	if len(faults) > 0 {
		return nil, faults
	}
	return fromDocument(d)
}

// Check reads as [Load] does and returns everything that is wrong: faults,
// missing lists ([Config.Runnable]) among them, and warnings. With a fault the
// configuration is nil.
func Check(path string) (c *Config, faults, warnings Faults) {
	d, faults := documents(path)
	if len(faults) > 0 {
		return nil, faults, nil
	}
	c, err := fromDocument(d)
	_ = errors.As(err, &faults)
	if faults = d.sorted(append(faults, d.unfit...)); len(faults) > 0 {
		c = nil
	}
	return c, faults, d.warnings
}

// reason returns the error of the system without the path.
func reason(err error) string {
	if at := new(fs.PathError); errors.As(err, &at) {
		return at.Err.Error()
	}
	return err.Error()
}

// Default returns the embedded default.
func Default() *Config {
	c := &Config{DropIns: []string{}}
	d, faults := parse("embedded default", examples.Reference)
	if len(faults) == 0 {
		faults = c.read(d)
	}
	if len(faults) > 0 {
		panic(faults) // TestReference parses it
	}
	return c
}

// Parse reads a text over the defaults. Errors call it name, and are [Faults].
func Parse(name string, data []byte) (*Config, error) {
	d, faults := parse(name, data)
	if len(faults) > 0 {
		return nil, faults
	}
	return fromDocument(d)
}

func fromDocument(d *document) (*Config, error) {
	c := Default()
	c.File = d.files[0]
	c.DropIns = d.files[1:]
	if faults := c.read(d); len(faults) > 0 {
		return nil, faults
	}
	return c, nil
}

// Engine returns the engine's configuration. Protected addresses are never
// blocked; ephemeral is the first port of net.ipv4.ip_local_port_range.
func (c *Config) Engine(protected []netip.Prefix, ephemeral uint16, trap bool) engine.Config {
	return engine.Config{
		Sources: c.Detect.Sources, Window: time.Duration(c.Detect.Window), Prefix6: c.Detect.IPv6Prefix,
		TCP: c.TCP.policy(c.DryRun), UDP: c.UDP.policy(c.DryRun), IP: c.IP.policy(c.DryRun),
		Protected: engine.NewPrefixes(protected...), Ephemeral: ephemeral, Trap: trap,
		Sweep: c.Detect.Sweep, Slow: c.Detect.Slow, SlowWindow: time.Duration(c.Detect.SlowWindow),
		ToolTrigger: c.Detect.Tool, Flood: c.Detect.Flood,
		For: c.Block.For, UnprovenFor: c.Block.UnprovenFor, UnprovenRate: c.Block.UnprovenRate,
		Memory: time.Duration(c.Block.Memory), Blocks: c.Block.Max, Known: c.known(),
		Score: c.Detect.Score, Decoys: c.Detect.Decoys, Distributed: c.Detect.Shared, Style: c.Block.Style,
		Invited: c.invited(),
	}
}

func (p *Protocol) policy(dryRun bool) engine.Policy {
	out := engine.Policy{Action: p.Action, Trigger: p.Trigger}
	if dryRun && p.Action == engine.Run {
		out.Action = engine.Log
	}
	return out
}

// Elements returns the elements of the table's sets. The caller adds the ignored
// addresses it found and the trap's port.
func (c *Config) Elements() *nft.Elements {
	e := &nft.Elements{
		ClassicTCP: c.TCP.ports(probe.Classic), ClassicUDP: c.UDP.ports(probe.Classic),
		StealthTCP: c.TCP.ports(probe.Stealth), StealthUDP: c.UDP.ports(probe.Stealth),
		AdvancedTCP: c.TCP.ports(probe.Advanced), AdvancedUDP: c.UDP.ports(probe.Advanced),
		ExcludedTCP: c.TCP.Exclude, ExcludedUDP: c.UDP.Exclude,
		TriggerTCP: c.TCP.triggers(c.DryRun, true), TriggerUDP: c.UDP.triggers(c.DryRun, false),
		TriggerIP:  c.IP.protocolTriggers(c.DryRun),
		AdvancedIP: subtract(c.IP.ports(probe.Advanced), c.IP.Exclude),
		Ignored:    c.Ignore.Addresses,
		Known:      c.letBe(),
		Trusted:    c.Ignore.Interfaces,
		DoorTCP:    c.Door.ports(c.DryRun),
		Inline:     c.Inlined(),
		Published:  c.Forward.Judges(),
		Egress:     c.Forward.Egress == EgressLog,
		Invite:     c.Invites(),
	}
	if !c.DryRun {
		e.Listed = c.listed
	}
	return e
}

// ports returns the ports of a mode: none if the mode is off.
func (p *Protocol) ports(mode probe.Mode) []nft.Range {
	if !p.Modes.Has(mode) {
		return nil
	}
	switch mode {
	case probe.Classic:
		return p.Classic
	case probe.Stealth:
		return p.Stealth
	}
	return p.Advanced
}

// triggers returns how many ports of a source the kernel lets pass by itself, for
// each watched port. There are none if no source is blocked.
func (p *Protocol) triggers(dryRun, tcp bool) (out []nft.Trigger) {
	if p.Action != engine.Block || dryRun {
		return nil
	}
	stealth := nft.Merge(p.ports(probe.Stealth))
	classic := subtract(nft.Merge(p.ports(probe.Classic)), stealth)
	advanced := subtract(subtract(subtract(nft.Merge(p.ports(probe.Advanced)), p.Exclude), stealth), classic)
	of := p.Trigger[probe.Classic]
	if tcp {
		// The trigger of classic mode counts completed connections. Packets to a
		// trap port count as for any other port.
		if of = p.Trigger[probe.Stealth]; p.Modes.Has(probe.Advanced) {
			of = p.Trigger[probe.Advanced]
		}
	}
	add := func(rs []nft.Range, n int) {
		for _, r := range rs {
			out = append(out, nft.Trigger{Range: r, Ports: n})
		}
	}
	add(stealth, p.Trigger[probe.Stealth])
	add(classic, of)
	add(advanced, p.Trigger[probe.Advanced])
	return out
}

// protocolTriggers does the same as triggers for IP protocols without ports.
func (p *Protocol) protocolTriggers(dryRun bool) (out []nft.Trigger) {
	if p.Action != engine.Block || dryRun {
		return nil
	}
	var ported []nft.Range
	for n := range uint16(256) {
		if probe.Ported(uint8(n)) {
			ported = append(ported, nft.Range{From: n, To: n})
		}
	}
	for _, r := range subtract(subtract(nft.Merge(p.ports(probe.Advanced)), p.Exclude), ported) {
		out = append(out, nft.Trigger{Range: r, Ports: p.Trigger[probe.Advanced]})
	}
	return out
}

// Section returns the section that holds for a protocol.
func (c *Config) Section(protocol uint8) *Protocol {
	sections := [...]*Protocol{probe.SectionTCP: &c.TCP, probe.SectionUDP: &c.UDP, probe.SectionIP: &c.IP}
	return sections[probe.SectionOf(protocol)]
}

// Mode returns the mode that watches a port of a protocol in the kernel's rules,
// or 0.
func (c *Config) Mode(protocol uint8, port uint16) probe.Mode {
	p := c.Section(protocol)
	if protocol == probe.ProtocolICMP || protocol == probe.ProtocolICMPv6 {
		port = uint16(protocol)
	}
	switch {
	case protocol != probe.ProtocolTCP && contains(p.ports(probe.Classic), port):
		return probe.Classic
	case contains(p.ports(probe.Stealth), port):
		return probe.Stealth
	case protocol == probe.ProtocolTCP && contains(p.ports(probe.Classic), port):
		return probe.Classic
	case contains(p.ports(probe.Advanced), port) && !contains(p.Exclude, port):
		return probe.Advanced
	}
	return 0
}

// Table returns the configuration of the rules' text.
func (c *Config) Table() nft.Config {
	return nft.Config{Group: c.NFLOG.Group, Snaplen: c.NFLOG.Snaplen, Prefix6: c.Detect.IPv6Prefix}
}

// receiveBuffer holds some 290,000 probes while the reader has no processor.
const receiveBuffer = 32 << 20

// Reader returns the reader's configuration. The group bounds what each rule asks for.
func (c *Config) Reader() nflog.Config {
	return nflog.Config{Group: c.NFLOG.Group, Snaplen: max(c.NFLOG.Snaplen, nft.LongSnaplen),
		Buffer: receiveBuffer}
}
