// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"strings"
	"time"

	"picket/engine"
	"picket/internal/config"
)

// sayWatched says why a source of which probes are known is not blocked.
func (x *explainer) sayWatched() {
	x.State = "watched"
	x.Summary = fmt.Sprintf("%s is not blocked.", x.asked1())
	last := &x.kept[len(x.kept)-1]
	d := &last.Decision
	if d.Action == engine.Block {
		x.sayEnded(d, time.Unix(0, last.Probe.At))
		return
	}
	switch d.Reason {
	case engine.IsProtected:
		x.State = "protected"
		x.why("It was above a limit when it was protected.")
	case engine.KnownIgnored:
		x.State = "spared"
	case engine.IsConnected:
		x.State = "spared"
		x.why("%s, but none of it is proven, and it had a TCP connection with this host: anybody can send such packets in its name (ignore.connected = true).", upper(d.Evidence()))
		x.change("It is blocked by its next probe once that connection has ended, or by anything that proves its address, such as a connection to a trap port.")
	case engine.InFlood:
		x.State = "spared"
		x.why("Not proven, and in a flood of sources that were never seen before; only who probes ten ports or addresses stands out of it (detect.flood = %d).", x.config.Detect.Flood)
	case engine.TooMany:
		x.State = "spared"
		x.why("%s; but it is not proven, and as many of those were blocked lately as may be in a minute (block.unproven_rate = %d).", upper(d.Evidence()), x.config.Block.UnprovenRate)
		x.change("Its next probe may get it blocked.")
	case engine.IsDecoy:
		x.State = "spared"
		x.why("%s: at most one of them is real (detect.decoys = %q).", upper(d.Evidence()), x.config.Detect.Decoys)
	case engine.Full:
		x.State = "spared"
		x.why("%s, and there are as many blocks as may be (block.max = %d).", upper(d.Evidence()), x.config.Block.Max)
	case engine.Backscatter:
		x.why("What it sent answers what this host never sent: somebody forges this host's address. That is held against nobody.")
	case engine.LateAnswer:
		x.why("What it sent answers what this host asked, later than connection tracking waits. That is held against nobody.")
	case engine.Handshake:
		x.why("It begins a connection to a trap port; the connection counts, not its first packet.")
	default:
		x.sayLimits(d)
	}
	if !x.config.DryRun && x.List == nil {
		x.sayAction(last.Probe.Protocol)
	}
}

// sayEnded tells of a block that is no longer in force.
func (x *explainer) sayEnded(d *engine.Decision, at time.Time) {
	end := at.Add(d.For)
	if end.After(x.now) {
		x.why("It was blocked at %s for %s, and that was ended: by hand, by a change of the configuration, or because the kernel refused it. The journal says which.", stamp(at), config.Duration(d.For))
	} else {
		x.why("It was blocked at %s for %s, which has ended, and has sent no probe since.", stamp(at), config.Duration(d.For))
	}
	x.why("That was for: %s.", grounds(&x.kept[len(x.kept)-1].Probe, d))
	x.change("It starts anew with its next probe; the next block is its %s.", ordinal(d.Offence+1))
}

// sayLimits tells how far a source is from each limit.
func (x *explainer) sayLimits(d *engine.Decision) {
	c := &x.config.Detect
	p := &x.kept[len(x.kept)-1].Probe
	within, name := time.Duration(c.Window), fmt.Sprintf("%s.trigger.%s = %d", section(p.Protocol), p.Mode, d.Trigger)
	if d.Lowered {
		name = fmt.Sprintf("detect.tool_trigger = %d", d.Trigger)
	}
	if d.Action != engine.None {
		x.why("%s (%s). That was told at %s.", upper(grounds(p, d)), name, stamp(time.Unix(0, p.At)))
		return
	}
	if x.now.Sub(time.Unix(0, p.At)) > within {
		x.why("Its last probe was %s ago: nothing of it is inside the window any more (detect.window = %q).", ago(x.now.Sub(time.Unix(0, p.At))), c.Window)
		x.change("It is blocked at %d different ports within %s (%s).", d.Trigger+1, c.Window, name)
		return
	}
	x.why("It has probed %s inside the window of %s, and %d are let pass (%s).", several(d.Within, "different port"), c.Window, d.Trigger, name)
	x.change("It is blocked at %s within %s (%s), at %s of this host (detect.sweep = %d), or at %s in %s (detect.slow = %d).",
		several(d.Trigger+1-d.Within, "more port"), c.Window, name, strings.Replace(addresses(c.Sweep+1-d.Targets), " ", " more ", 1), c.Sweep,
		several(c.Slow+1, "port"), c.SlowWindow, c.Slow)
}

func addresses(n int) string {
	if n == 1 {
		return "1 address"
	}
	return fmt.Sprintf("%d addresses", n)
}

// sayAction tells of a section that blocks nobody.
func (x *explainer) sayAction(protocol uint8) {
	p := &x.config.TCP
	switch section(protocol) {
	case "udp":
		p = &x.config.UDP
	case "ip":
		p = &x.config.IP
	}
	if p.Action != engine.Block.String() {
		x.why("%s.action = %q: nobody is blocked for it.", section(protocol), p.Action)
	}
}

// section returns the name of the section that a protocol is configured in.
func section(protocol uint8) string {
	switch protocol {
	case engine.ProtocolTCP, engine.ProtocolSCTP:
		return "tcp"
	case engine.ProtocolUDP:
		return "udp"
	}
	return "ip"
}

func upper(s string) string {
	if s == "" {
		return "It is above a limit"
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
