// SPDX-License-Identifier: MIT

package explain

import (
	"fmt"
	"strings"
	"time"

	"picket/engine"
	"picket/internal/config"
	"picket/internal/describe"
	"picket/internal/event"
	"picket/internal/evidence"
	"picket/internal/probe"
	"picket/internal/show"
)

// sayWatched says why a source with known probes is not blocked, and what would get it
// blocked.
func (x *explainer) sayWatched() {
	x.State = "watched"
	x.Summary = fmt.Sprintf("%s is not blocked.", x.name())
	last := &x.facts.Kept[len(x.facts.Kept)-1]
	d := &last.Decision
	blocks := x.sectionBlocks(last.Probe.Protocol)
	switch d.Reason {
	case engine.IsProtected:
		x.why("It was above a limit while it was protected; it is protected no more.")
		x.change("Its next probe gets it blocked.")
	case engine.KnownIgnored:
		x.State = "spared"
	case engine.IsConnected:
		x.State = "spared"
		x.why("%s, but none of it is proven, and it had a TCP connection with this host: anybody can send "+
			"such packets in its name (ignore.connected = true).", upper(d.Evidence()))
		x.change("It is blocked by its next probe once that connection has ended, or by anything that " +
			"proves its address, such as a connection to a trap port.")
	case engine.IsOperator:
		x.State = "spared"
		x.why("%s, but none of it is proven, and the operator is logged in from there.", upper(d.Evidence()))
	case engine.Turned:
		x.why("%s (%s). It is not fenced: too little is known of it.", upper(d.Evidence()), x.setting(last))
		x.changeLimits()
	case engine.FencedLately:
		x.State = "spared"
		x.why("%s; but it is not proven, and it had its ten minutes of fence in this hour: anybody can "+
			"cause that with packets in its name.", upper(d.Evidence()))
		x.change("It is fenced again in the next hour if it goes on, and blocked once it has proven itself.")
	case engine.InFlood:
		x.State = "spared"
		x.why("Not proven, and in a flood of new sources; a source stands out of it at ten ports or "+
			"addresses (detect.flood = %d).", x.facts.Config.Detect.Flood)
		x.change("It is blocked by its next probe once it stands out or the flood is over, or by a " +
			"connection to a trap port, which proves its address.")
	case engine.TooMany:
		x.State = "spared"
		x.why("%s; but it is not proven, and a minute's share of unproven sources is blocked already "+
			"(block.unproven_rate = %d).", upper(d.Evidence()), x.facts.Config.Block.UnprovenRate)
		x.change("Its next probe may get it blocked.")
	case engine.IsDecoy:
		x.State = "spared"
		x.why("%s: at most one of them is real (detect.decoys = %q).", upper(d.Evidence()),
			x.facts.Config.Detect.Decoys)
		if blocks {
			x.change("It is blocked for what it does alone: by connections to %s (tcp.trigger.classic = "+
				"%d), or at %s that the others do not probe (%s).",
				show.Plural(x.facts.Config.TCP.Trigger[probe.Classic]+1, "trap port"),
				x.facts.Config.TCP.Trigger[probe.Classic],
				show.Plural(d.Trigger+1, "port"), x.triggerOf(last))
			x.change("With detect.decoys = \"block\", what others sent too counts, and all of them are " +
				"blocked.")
		}
	case engine.Full:
		x.State = "spared"
		x.why("%s, and there are as many blocks as may be (block.max = %d).", upper(d.Evidence()),
			x.facts.Config.Block.Max)
		x.change("Its next probe gets it blocked, once another block has ended.")
	case engine.Backscatter:
		x.why("What it sent answers what this host never sent: somebody forges this host's address. That " +
			"is held against nobody.")
		x.changeLimits()
	case engine.LateAnswer:
		x.why("What it sent answers what this host asked, later than connection tracking waits. That is " +
			"held against nobody.")
		x.changeLimits()
	case engine.Handshake:
		x.why("It begins a connection to a trap port; what that says first counts.")
		x.changeLimits()
	default:
		switch r := x.reacted(); {
		case r != nil:
			x.sayReacted(r)
		case already(d.Reason) && blocks && x.List == nil:
			x.why("It was blocked, fenced or in the dark when it sent these, and that has ended. What it " +
				"was for is no longer kept here; the journal has it.")
			if x.Known != nil && x.Known.PortsAll > 0 {
				x.changeLimits()
			} else {
				x.change("It starts anew with its next probe.")
			}
		default:
			x.sayLimits(last, blocks)
		}
	}
	if !blocks && !x.facts.Config.DryRun && x.List == nil {
		name, s := probe.SectionOf(last.Probe.Protocol), x.facts.Config.Section(last.Probe.Protocol)
		x.why("%s.action = %q: nobody is blocked for it.", name, s.Action)
		x.change("With %s.action = \"block\", a source above a limit is blocked.", name)
	}
}

// reacted returns the last probe with a reaction, unless a later one has another reason.
func (x *explainer) reacted() *evidence.Probe {
	for i := len(x.facts.Kept) - 1; i >= 0; i-- {
		switch d := &x.facts.Kept[i].Decision; {
		case d.Action != engine.None:
			return &x.facts.Kept[i]
		case !already(d.Reason):
			return nil
		}
	}
	return nil
}

// already reports whether a probe came while a response to its source was in force.
func already(r engine.Reason) bool {
	switch r {
	case engine.AlreadyReacted, engine.AlreadyBlocked, engine.AlreadyFenced, engine.AlreadyDark:
		return true
	}
	return false
}

// sayReacted says what was done earlier about a source that is not blocked now.
func (x *explainer) sayReacted(k *evidence.Probe) {
	d, at := &k.Decision, time.Unix(0, k.Probe.At)
	why, done := grounds(&k.Probe, d), responseName(d.Action.String())
	switch end := at.Add(d.For); {
	case d.Action == engine.Log:
		x.why("%s (%s). That was told at %s.", upper(why), x.setting(k), show.Stamp(at))
	case d.Action == engine.Run:
		x.why("%s (%s). For that the command was run at %s.", upper(why), x.setting(k), show.Stamp(at))
	case d.Source.IsValid() && !x.facts.within(d.Source):
		x.why("%s, which is of the same source, was blocked at %s: %s.", event.SourceName(d.Source),
			show.Stamp(at), why)
		x.change("Its next probe may get it blocked as well: what all of %s probes counts together.",
			x.Source)
	case end.After(x.facts.Now):
		x.why("It was %s at %s for %s, and that was ended: by hand, by a change of the configuration, "+
			"or because the kernel refused it. The journal says which.", done, show.Stamp(at),
			config.Duration(d.For))
		x.sayEnded(d, why)
	default:
		x.why("It was %s at %s for %s, which has ended, and has sent no probe since.", done,
			show.Stamp(at), config.Duration(d.For))
		x.sayEnded(d, why)
	}
}

func (x *explainer) sayEnded(d *engine.Decision, why string) {
	x.why("That was for: %s.", why)
	offence := d.Offence
	if offence == 0 && x.Known != nil { // a block that was lost and renewed
		offence = x.Known.Offences
	}
	x.change("It starts anew with its next probe; the next block is its %s.", show.Ordinal(offence+1))
}

// setting names what made the decision about a kept probe.
func (x *explainer) setting(k *evidence.Probe) string {
	return describe.Setting(x.facts.Config, &k.Probe, &k.Decision)
}

// triggerOf names the trigger that held for a probe.
func (x *explainer) triggerOf(k *evidence.Probe) string {
	return describe.Trigger(x.facts.Config, &k.Probe, &k.Decision)
}

// sayLimits says how far a source is from each limit.
func (x *explainer) sayLimits(last *evidence.Probe, blocks bool) {
	c, d, name := &x.facts.Config.Detect, &last.Decision, x.triggerOf(last)
	idle := x.facts.Now.Sub(time.Unix(0, last.Probe.At))
	ended := idle > time.Duration(c.Window)
	if ended {
		x.why("Its last probe was %s ago: nothing of it is inside the window any more (detect.window = %q).",
			show.Seconds(idle), c.Window)
	} else {
		x.why("It has probed %s inside the window of %s, and %d are let pass (%s).",
			show.Plural(d.Within, "different port"), c.Window, d.Trigger, name)
	}
	switch {
	case !blocks || x.List != nil && x.List.Policy != config.PolicyBlock.String():
	case ended:
		x.change("It is blocked at %d different ports within %s (%s).", d.Trigger+1, c.Window, name)
	default:
		x.change("It is blocked at %s within %s (%s), at %s of this host (detect.sweep = %d), or at %s in "+
			"%s (detect.slow = %d).",
			show.Plural(max(1, d.Trigger+1-d.Within), "more port"), c.Window, name,
			show.Plural(max(1, c.Sweep+1-d.Targets), "more address"), c.Sweep,
			show.Plural(c.Slow+1, "port"), c.SlowWindow, c.Slow)
	}
}

// changeLimits says what would get a source blocked that is far from every limit.
func (x *explainer) changeLimits() {
	if x.List == nil {
		x.change("It is blocked when its probes are above a limit: tcp.trigger, udp.trigger, ip.trigger, " +
			"detect.sweep or detect.slow.")
	}
}

// sectionBlocks reports whether a source above a limit for a protocol is blocked.
func (x *explainer) sectionBlocks(protocol uint8) bool {
	s := x.facts.Config.Section(protocol)
	return !x.facts.Config.DryRun && s.Action == engine.Block
}

func upper(s string) string {
	if s == "" {
		return "It is above a limit"
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
