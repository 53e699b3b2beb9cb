// SPDX-License-Identifier: MIT

package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"time"

	"picket/engine"
	"picket/internal/addresses"
	"picket/internal/probe"
	"picket/nflog"
)

// read changes c by a document.
func (c *Config) read(d *document) Faults {
	top := d.top()
	top.boolean("dry_run", &c.DryRun)
	c.readMemory(top)
	c.NFLOG.read(top.section("nflog"))
	c.Detect.read(top.section("detect"))
	c.TCP.read(top.section("tcp"), 1, 65535)
	c.UDP.read(top.section("udp"), 1, 65535)
	c.IP.read(top.section("ip"), 0, 255)
	c.Ignore.read(top.section("ignore"))
	c.readKnown(top)
	c.Block.read(top.section("block"))
	c.Trap.read(top.section("trap"))
	c.Door.read(top.section("door"))
	c.Inline.read(top.section("inline"))
	c.Forward.read(top.section("forward"))
	c.Evidence.read(top.section("evidence"))
	c.readActions(top)
	c.Notify.read(top.section("notify"))
	c.Metrics.read(top.section("metrics"))
	top.end()
	c.fit()
	c.weigh(top)
	c.checkInline(top)
	c.Warnings, c.unfit = d.sorted(slices.Concat(d.warnings, d.unfit)), d.unfit
	return d.sorted(d.faults)
}

func (n *NFLOG) read(s *section) {
	// Group 0 gets the kernel's own logging.
	number(s, "group", &n.Group, 1, 65535)
	if n.Group == nflog.ClaimGroup {
		s.fault("group", fmt.Sprintf("is %d, by which picket sees that it is alone: want another", n.Group))
	}
	// An IPv4 and a TCP header without options are 40 bytes; more than 2 kB of a
	// packet say nothing more about a probe.
	number(s, "snaplen", &n.Snaplen, 64, 2048)
	s.end()
}

func (d *Detect) read(s *section) {
	d.readSources(s)
	s.duration("window", &d.Window, "10s", "18h")
	number(s, "sweep", &d.Sweep, 1, 48)
	number(s, "slow", &d.Slow, 5, engine.MaxSlow)
	s.duration("slow_window", &d.SlowWindow, "1h", "60d")
	number(s, "tool_trigger", &d.Tool, 3, engine.MaxTrigger)
	// Ten sources a second are an ordinary day on a busy network.
	number(s, "flood", &d.Flood, 100, 1<<20)
	choice(s, "score", &d.Score, engine.Log, engine.Dark)
	choice(s, "decoys", &d.Decoys, engine.Log, engine.Block)
	choice(s, "distributed", &d.Shared, engine.Log, engine.Block)
	number(s, "ipv6_prefix", &d.IPv6Prefix, 48, 128)
	s.end()
}

func (p *Protocol) read(s *section, lowest, highest uint16) {
	s.modes("modes", &p.Modes)
	choice(s, "action", &p.Action, engine.Log, engine.Block, engine.Run)
	s.trigger("trigger", &p.Trigger)
	if s.name != "ip" { // presets are of ports
		p.preset(s)
	}
	p.readLists(s, lowest, highest)
	s.end()
}

// longestInterface is IFNAMSIZ of linux/if.h without the byte that ends a name.
const longestInterface = 15

func (i *Ignore) read(s *section) {
	s.prefixes("addresses", &i.Addresses)
	s.strings("files", &i.Files)
	for n, f := range i.Files {
		i.Addresses = append(i.Addresses, s.list("", n, f, true)...)
	}
	links := []string{}
	if s.items("interfaces", func(text string) string {
		if len(text) == 0 || len(text) > longestInterface {
			return fmt.Sprintf("%q is no name of an interface: want 1 to %d characters", text,
				longestInterface)
		}
		links = append(links, text)
		return ""
	}) {
		i.Interfaces = links
	}
	s.boolean("own", &i.Own)
	s.boolean("gateways", &i.Gateways)
	s.boolean("resolvers", &i.Resolvers)
	s.boolean("connected", &i.Connected)
	s.end()
}

// list reads one file of a list; faults begin with name. A bad line discards the
// whole file: half a list would block a friend. A missing file is a warning, as
// the configuration may be another host's; if the list is needed, nothing runs
// without it (see Runnable).
func (s *section) list(name string, n int, file string, needed bool) []netip.Prefix {
	if name != "" {
		name = "list " + name + ": "
	}
	list, err := addresses.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if needed {
			s.d.unfit = append(s.d.unfit, s.aboutItem("files", n, name+err.Error()))
		} else {
			s.warnItem("files", n, name+err.Error())
		}
	case err != nil:
		for line := range strings.SplitSeq(err.Error(), "\n") {
			s.faultItem("files", n, name+line)
		}
	}
	return list
}

// weigh faults keys that are right one by one and make no sense together.
func (c *Config) weigh(top *section) {
	watched := 0
	for name, p := range map[string]*Protocol{"tcp": &c.TCP, "udp": &c.UDP, "ip": &c.IP} {
		left := subtract(p.ports(probe.Advanced), p.Exclude)
		if len(p.ports(probe.Advanced)) > 0 && len(left) == 0 {
			top.fault(name+".exclude", fmt.Sprintf("leaves nothing of %s.advanced, %q, to watch: take less "+
				"out, or \"advanced\" out of %s.modes", name, p.Advanced, name))
		}
		for _, m := range allModes {
			if p.Modes.Has(m) && len(p.ports(m)) == 0 {
				top.warn(name+".modes", fmt.Sprintf("holds %q, which watches nothing: %s.%s is empty", m,
					name, m))
			}
		}
		watched += len(p.ports(probe.Classic)) + len(p.ports(probe.Stealth)) + len(left)
	}
	if c.Trap.Invite == InviteScored && !c.scores() {
		top.warn("trap.invite", `has nobody to lead to the trap: whom it leads is dark or fenced, `+
			`which takes block.style = "graded" and tcp.action = "block"`)
	}
	if watched == 0 {
		top.d.unfit = append(top.d.unfit, top.about("tcp.modes",
			"and those of [udp] and [ip] watch nothing: want a mode with ports in one of them; to block "+
				"nobody set dry_run = true"))
	}
}

func (b *Block) read(s *section) {
	if s.values["for"] != nil || s.values["unproven_for"] != nil || s.values["unproven_rate"] != nil {
		// A file that says how long or how many unproven sources are blocked means
		// blocks: dark and fence are younger than these keys.
		b.Style = engine.BlockOnly
	}
	choice(s, "style", &b.Style, engine.Graded, engine.BlockOnly)
	s.durations("for", &b.For)
	if s.values["for"] != nil && s.values["unproven_for"] == nil {
		// A file that sets the length of a block means every block: the shorter
		// unproven_for belongs to the default's own lengths.
		b.UnprovenFor = Durations{time.Hour}
	}
	s.durations("unproven_for", &b.UnprovenFor)
	number(s, "unproven_rate", &b.UnprovenRate, 1, 1_000_000)
	s.duration("memory", &b.Memory, "1m", "520w")
	number(s, "max", &b.Max, 1, 1<<18)
	s.end()
}

// ParseSource reads an address or a prefix as people write it, without a zone.
func ParseSource(s string) (netip.Prefix, bool) {
	p, why := addresses.Source(s)
	return p, why == ""
}
