// SPDX-License-Identifier: MIT

package explain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"picket/engine"
	"picket/internal/config"
	"picket/internal/control"
	"picket/internal/event"
	"picket/internal/evidence"
	"picket/internal/probe"
	"picket/internal/show"
)

// Decision puts the decision about one probe into words, with its reason.
func Decision(p *probe.Probe, d *engine.Decision) string {
	because := d.Reason.String()
	switch d.Reason {
	case engine.IsProtected, engine.IsConnected, engine.InFlood, engine.TooMany, engine.Full:
		because = fmt.Sprintf("spared: %s; %s", because, d.Evidence())
	case engine.BelowTrigger:
		because = fmt.Sprintf("port %d of the %d that are let pass", d.Within, d.Trigger)
		if d.Within == 0 {
			because = "others sent the same packet, so its port does not count"
		}
	case engine.KnownIgnored:
		because = "not judged: it is in the list " + d.Known
	case engine.KnownFirst, engine.AboveTrigger, engine.AboveSweep, engine.AboveSlow, engine.PartOfScan:
		because = grounds(p, d)
	case engine.IsDecoy:
		because = "spared: " + d.Evidence()
	case engine.AlreadyReacted:
		because += ": " + d.Evidence()
	case engine.Backscatter:
		because = "an answer to what this host did not send"
	case engine.Turned:
		because = d.Evidence()
	case engine.LateAnswer:
		because = "an answer to what this host asked, late"
	case engine.AboveScore:
		because = "its source scans: " + d.Evidence()
	case engine.PartOfNetwork:
		because = "three sources of " + d.Source.String() + " scan: " + d.Evidence()
	case engine.Traceroute:
		because = "a traceroute on its way here"
	case engine.Discovery:
		because = "a neighbour's answer to a search of the link"
	case engine.Handshake:
		because = "the trap answers; what the connection says first counts"
	}
	if d.Observed != 0 && !strings.Contains(because, d.Weighed()) {
		because += "; " + d.Weighed()
	}
	switch d.Action {
	case engine.Dark:
		because = fmt.Sprintf("dark for %s: %s", config.Duration(d.For), because)
	case engine.Fence:
		because = fmt.Sprintf("fenced for %s: %s", config.Duration(d.For), because)
	case engine.Block:
		because = fmt.Sprintf("blocked for %s: %s", config.Duration(d.For), because)
	case engine.Run:
		because = "the command was run: " + because
	case engine.Log:
		because = "told, not blocked: " + because
	}
	if d.NewPattern {
		because += "; now a " + PatternName(d.Pattern.String())
	}
	return because
}

// grounds names the evidence of a reaction.
func grounds(p *probe.Probe, d *engine.Decision) string {
	port := probe.PortName(probe.ProtocolName(p.Protocol), p.Port)
	switch {
	case d.Reason == engine.KnownFirst:
		return "it is in the list " + d.Known + ", whose first probe is reacted to"
	case p.Technique == probe.Connect && d.Trigger == 0:
		return "a connection to the trap port " + port + " was completed, and none is let pass"
	case d.Reason == engine.AboveTrigger && d.Trigger == 0:
		return "a " + p.Technique.String() + " probe of " + port + ", and none is let pass"
	}
	return d.Evidence()
}

// PatternName writes a pattern as people do.
func PatternName(p string) string {
	switch p {
	case engine.PortScan.String():
		return "port scan"
	case engine.SlowScan.String():
		return "slow scan"
	case engine.Distributed.String():
		return "distributed scan"
	case engine.Decoy.String():
		return "decoy scan"
	case engine.Flood.String():
		return "flood of forged sources"
	}
	return p
}

func (x *explainer) why(format string, args ...any) {
	x.Why = append(x.Why, fmt.Sprintf(format, args...))
}
func (x *explainer) change(format string, args ...any) {
	x.Change = append(x.Change, fmt.Sprintf(format, args...))
}

// name names the address or prefix in question.
func (x *explainer) name() string { return event.SourceName(x.facts.Asked) }

func names(list []control.InForce) string {
	var out []string
	for i := range list {
		if !slices.Contains(out, list[i].Name) { // one has several responses
			out = append(out, list[i].Name)
		}
	}
	return strings.Join(out, ", ")
}

// byCommand begins the texts of package allowed about friends.
const byCommand = "allowed by command"

// protectedBy names the key or the command that makes somebody a friend.
func protectedBy(why string) string {
	switch why {
	case "own address":
		return "ignore.own = true"
	case "gateway", "other end of a point-to-point link":
		return "ignore.gateways = true"
	case "resolver", "time server":
		return "ignore.resolvers = true"
	case "loopback":
		return ""
	}
	if strings.HasPrefix(why, byCommand) {
		return "picket allow"
	}
	return "ignore.addresses or ignore.files"
}

func (x *explainer) sayBlocked(b *control.InForce) {
	x.State = "blocked"
	of, ends := "", "ends it too, and keeps it"
	if b.Name != x.name() {
		of, ends = " as part of "+b.Name, "takes it out of that, and keeps it"
	}
	left := config.Duration(time.Duration(b.Remaining) * time.Second)
	x.Summary = fmt.Sprintf("%s is %s%s for another %s, until %s.", x.name(), responseName(b.Response), of,
		left, show.Stamp(b.Expires))
	k := x.reaction(b)
	switch {
	case b.ByHand:
		x.why("Blocked by hand at %s: %s.", show.Stamp(b.Since), strings.TrimSuffix(b.Reason, "."))
	case k != nil && k.Decision.Reason == engine.Turned:
		x.why("%s (%s).", upper(b.Evidence), b.Config) // with the time that the SYN waited
	case k != nil && (patternPrefix(b.Pattern) == "" || k.Decision.Reason == engine.KnownFirst):
		x.why("%s (%s).", upper(grounds(&k.Probe, &k.Decision)), b.Config)
	case k != nil:
		x.why("%s%s (%s).", patternPrefix(b.Pattern), grounds(&k.Probe, &k.Decision), b.Config)
	case b.Technique == "":
		x.why("The kernel has the block from an earlier run of picket; the journal of %s says why.",
			show.Stamp(b.Since))
	default:
		x.why("%s%s probe of %s, %s (%s).", patternPrefix(b.Pattern), b.Technique,
			probe.PortName(b.Protocol, b.Port), b.Reason, b.Config)
	}
	if !b.ByHand && b.Technique != "" {
		x.sayLength(b, k)
	}
	if b.Drops > 0 {
		x.why("The kernel has dropped %s of it since.", show.Plural(b.Drops, "packet"))
	}
	for i := range x.Blocks {
		if o := &x.Blocks[i]; o != b && o.Source == b.Source {
			x.why("It is %s too, until %s.", responseName(o.Response), show.Stamp(o.Expires))
		}
	}
	x.change("It ends by itself at %s; \"picket unblock %s\" ends it now.", show.Stamp(b.Expires), b.Name)
	x.change("\"picket allow %s\" %s from being blocked again.", x.name(), ends)
}

// responseName names the state of a source under a response.
func responseName(response string) string {
	switch response {
	case engine.Dark.String():
		return "in the dark"
	case engine.Fence.String():
		return "fenced"
	}
	return "blocked"
}

// sayLength says what a response does, and why it lasts so long.
func (x *explainer) sayLength(b *control.InForce, k *evidence.Probe) {
	since, length := show.Stamp(b.Since), config.Duration(b.Expires.Sub(b.Since).Round(time.Second))
	switch b.Response {
	case engine.Dark.String():
		x.why("In the dark since %s for %s: what it sends to ports that nobody serves is dropped, services "+
			"answer it.",
			since, length)
		x.sayInvited()
		return
	case engine.Fence.String():
		x.why("Fenced since %s for %s: flows that are known go on, all else that it sends is dropped. "+
			"The address may be forged, so this is ten minutes in an hour at most.", since, length)
		x.sayInvited()
		return
	}
	key, trust := "block.unproven_for", "the address may be forged"
	if b.Proven {
		key, trust = "block.for", "the address is proven"
	}
	offence := ""
	switch {
	case k != nil:
		offence = fmt.Sprintf("its %s block, and ", show.Ordinal(k.Decision.Offence))
	case x.Known != nil && x.Known.Offences > 0 && b.Name == x.Source: // no address of it was blocked later
		offence = fmt.Sprintf("its %s block, and ", show.Ordinal(x.Known.Offences))
	}
	x.why("Blocked since %s for %s: %s%s (%s).", since, length, offence, trust, key)
}

// sayInvited says where a dark or fenced source is led, and what follows.
func (x *explainer) sayInvited() {
	c := x.facts.Config
	if !c.Invites() {
		return
	}
	x.why("Its connections to ports that nobody serves are led to the trap (trap.invite = %q).",
		c.Trap.Invite)
	x.change("Connections to %d such ports within %s, or to %s, prove that it scans: then it is blocked.",
		max(c.TCP.Trigger[probe.Advanced], engine.LeastInvited), c.Detect.Window,
		show.Plural(c.TCP.Trigger[probe.Classic]+1, "trap port"))
}

func patternPrefix(p string) string {
	if p == "" {
		return ""
	}
	name := PatternName(p)
	return strings.ToUpper(name[:1]) + name[1:] + ": "
}

// reaction returns the kept probe behind a block in force: not one behind an ended block,
// or a block of another address of the same prefix.
func (x *explainer) reaction(b *control.InForce) *evidence.Probe {
	for i := len(x.facts.Kept) - 1; i >= 0; i-- {
		if d := &x.facts.Kept[i].Decision; d.Action.String() == b.Response && d.Reason != engine.LostBlock &&
			d.Source == b.Source {
			return &x.facts.Kept[i]
		}
	}
	return nil
}

func (x *explainer) sayProtected() {
	x.State = "protected"
	f := x.Protected[0]
	switch within := x.facts.Protected[0].Prefix; {
	case within == x.facts.Asked:
		x.Summary = fmt.Sprintf("%s is protected and never blocked: %s.", x.name(), f.Why)
	case within.Bits() < x.facts.Asked.Bits():
		x.Summary = fmt.Sprintf("%s is protected and never blocked: it is in %s, %s.", x.name(), f.Prefix,
			f.Why)
	default:
		x.Summary = fmt.Sprintf("%s is never blocked as a whole: %s in it is protected, %s.", x.name(),
			f.Prefix, f.Why)
		x.why("The rest of it is judged like anybody: ask for an address.")
	}
	if len(x.Why) == 0 {
		x.why("The kernel does not hand packets of protected addresses to picket, so nothing is known of " +
			"what they send.")
	}
	for _, f := range x.Protected {
		switch {
		case f.Config == "":
			x.change("%s (%s) is always protected.", f.Prefix, f.Why)
		case strings.HasPrefix(f.Why, byCommand):
			x.change("\"picket unallow %s\" ends that.", f.Prefix)
		default:
			x.change("%s (%s) is protected by %s.", f.Prefix, f.Why, f.Config)
		}
	}
}

// sayList says what follows from the list of a source.
func (x *explainer) sayList() {
	does := map[string]string{"ignore": "its probes are counted and not judged",
		"log": "it is told of and never blocked", "block": "it is blocked at its first probe",
		"drop": "whatever it sends is dropped before any service"}
	x.why("It is in your list %s: %s (known.%s.policy = %q).", x.List.Name, does[x.List.Policy], x.List.Name,
		x.List.Policy)
	if x.State != "blocked" {
		x.change("Taken off the list %s, it is judged like anybody.", x.List.Name)
	}
}

func (x *explainer) sayUnknown() {
	x.State = "unknown"
	x.Summary = fmt.Sprintf("%s is not blocked: no probe of it is known.", x.name())
	x.why("A probe is a packet to a port that picket watches and that nothing listens on; \"picket check " +
		"--json\" lists the ports.")
	if x.facts.Forgotten > 0 {
		x.why("It may have been forgotten: %d sources were, to make room (detect.sources = %d).",
			x.facts.Forgotten, x.facts.Config.Detect.Sources)
	}
	x.changeLimits()
}

// mostInside is the most sources inside a prefix to name.
const mostInside = 8

// sayMany describes a prefix that is no source, but has sources in it.
func (x *explainer) sayMany() {
	x.State = "unknown"
	x.Summary = fmt.Sprintf("%s is not blocked as a whole.", x.name())
	if len(x.facts.Inside) > 0 {
		x.State = "watched"
		var list []string
		for _, s := range x.facts.Inside[:min(len(x.facts.Inside), mostInside)] {
			list = append(list, fmt.Sprintf("%s (%s)", event.SourceName(s.Prefix),
				show.Plural(s.Probes, "probe")))
		}
		if n := len(x.facts.Inside) - len(list); n > 0 {
			list = append(list, fmt.Sprintf("and %d more", n))
		}
		x.why("Seen inside it lately: %s.", strings.Join(list, ", "))
	} else if len(x.Blocks) == 0 {
		x.why("None of the %d sources that were seen last is inside it.", x.facts.Recent)
	}
	x.why("It is many sources, each judged by itself: ask for an address.")
	x.change("\"picket block %s\" blocks all of it.", x.name())
}
