// SPDX-License-Identifier: MIT

// Package describe makes the event of a probe: the packet, the decision, and the setting
// behind the decision.
//
// It is pure: it asks nothing but its engine and its configuration. It is for the
// goroutine that owns the engine.
package describe

import (
	"fmt"
	"time"

	"picket/engine"
	"picket/internal/config"
	"picket/internal/event"
	"picket/internal/probe"
)

// Event describes a probe and the decision of e, which c configured. The interface has no
// name yet: the index may be another machine's.
func Event(c *config.Config, e *engine.Engine, p *probe.Probe, d *engine.Decision) event.Event {
	ev := event.Event{
		Event: "probe", Time: time.Unix(0, p.At), Source: p.Source.String(), Destination: p.Destination,
		Protocol: probe.ProtocolName(p.Protocol), Port: p.Port, SourcePort: p.SourcePort,
		Mode: p.Mode.String(), Technique: p.Technique.String(),
		Pattern: d.Pattern.String(), Tool: d.Tool.String(), Proven: d.Proven, Probes: d.Probes,
		Action: d.Action.String(), For: event.Seconds(d.For), Reason: d.Reason.String(),
		Evidence: d.Evidence(),
		Known:    d.Known, Config: Setting(c, p, d),
	}
	if p.Protocol == probe.ProtocolTCP {
		ev.Flags = probe.FlagNames(p.Flags)
	}
	switch {
	case d.Action.Drops() && c.DryRun:
		ev.Event, ev.Source = "trial", event.SourceName(d.Source)
		ev.Action, ev.Would = engine.Log.String(), d.Action.String()
	case d.Action.Drops():
		ev.Event, ev.Source = "block", event.SourceName(d.Source)
	case d.Reason == engine.IsProtected, d.Reason == engine.IsConnected:
		ev.Event = "ignore"
	}
	c.Locate(&ev, p.Source)
	if s, ok := e.Describe(p.Source); ok {
		ev.Ports, ev.First, ev.Last = s.List, s.First, s.Last
		ev.PortsSeen, ev.TargetsSeen = s.Ports, uint32(s.Targets)
	}
	return ev
}

// Pattern turns the event of a probe into that of the pattern that the probe completed.
// The pattern is the source's, whatever answered the probe.
func Pattern(p *probe.Probe, ev event.Event, d *engine.Decision) event.Event {
	ev.Source = p.Source.String()
	if d.Pattern.Shared() { // by many sources: this one alone is not the pattern's
		ev = event.Event{Time: ev.Time, Pattern: ev.Pattern, Tool: ev.Tool, Evidence: ev.Evidence,
			Config: ev.Config}
	}
	ev.Event, ev.Action, ev.For, ev.Reason, ev.Evidence = "pattern", engine.None.String(), 0, ev.Evidence, ""
	return ev
}

// Trigger names the trigger behind a decision: "tcp.trigger.stealth = 0".
func Trigger(c *config.Config, p *probe.Probe, d *engine.Decision) string {
	if d.Lowered {
		return fmt.Sprintf("detect.tool_trigger = %d", d.Trigger)
	}
	name := probe.SectionOf(p.Protocol).String()
	mode := p.Mode
	if p.Technique == probe.Connect && c.TCP.Trigger[mode] < d.Trigger {
		mode = probe.Advanced // a connection that proves nothing counts like any other probe
	}
	return fmt.Sprintf("%s.trigger.%s = %d", name, mode, d.Trigger)
}

// Setting names the setting behind a decision, "" if there is none.
func Setting(c *config.Config, p *probe.Probe, d *engine.Decision) string {
	s := setting(c, p, d)
	if s == "" {
		return ""
	}
	for _, k := range c.Known {
		if k.Name == d.Known && (d.Reason == engine.KnownFirst || d.Reason == engine.KnownIgnored ||
			d.Action == engine.Log) {
			s = fmt.Sprintf("known.%s.policy = %q", k.Name, k.Policy)
		}
	}
	if c.DryRun {
		s += ", dry_run = true"
	}
	return s
}

// setting looks at neither lists nor dry_run.
func setting(c *config.Config, p *probe.Probe, d *engine.Decision) string {
	switch {
	case p.Mode == 0: // no rule mirrored it: it waits for the inline verdict
		return fmt.Sprintf("inline.ports = %q", c.Inline.Ports)
	case d.Reason == engine.AboveSweep:
		return fmt.Sprintf("detect.sweep = %d", c.Detect.Sweep)
	case d.Reason == engine.AboveSlow:
		return fmt.Sprintf("detect.slow = %d, detect.slow_window = %q", c.Detect.Slow, c.Detect.SlowWindow)
	case d.Reason == engine.PartOfScan:
		return fmt.Sprintf("detect.distributed = %q", c.Detect.Shared)
	case d.Reason == engine.AboveScore, d.Reason == engine.PartOfNetwork, d.Reason == engine.AlreadyDark:
		return fmt.Sprintf("detect.score = %q", c.Detect.Score)
	case d.Reason == engine.IsDecoy:
		return fmt.Sprintf("detect.decoys = %q", c.Detect.Decoys)
	case d.Reason == engine.InFlood, d.Pattern == engine.Flood:
		return fmt.Sprintf("detect.flood = %d", c.Detect.Flood)
	case d.Reason == engine.TooMany:
		return fmt.Sprintf("block.unproven_rate = %d", c.Block.UnprovenRate)
	case d.Reason == engine.IsConnected:
		return fmt.Sprintf("ignore.connected = %v", c.Ignore.Connected)
	case d.Reason == engine.Full:
		return fmt.Sprintf("block.max = %d", c.Block.Max)
	case d.Reason == engine.Backscatter, d.Reason == engine.LateAnswer, d.Reason == engine.Traceroute,
		d.Reason == engine.Discovery, d.Reason == engine.Handshake:
		return "" // no setting makes more of them
	}
	return Trigger(c, p, d)
}
