// SPDX-License-Identifier: MIT

package engine

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"picket/engine/internal/crowd"
	"picket/internal/probe"
)

// A Decision is what to do about one probe, and why.
type Decision struct {
	Action  Action        // the strongest that is due and not in force; None for most probes
	Reason  Reason        // why
	Source  netip.Prefix  // the address, or the prefix around it; with None only that of a victim
	For     time.Duration // how long the response or the reaction lasts; 0 with None
	Offence int           // how often the source was reacted to, this time included; a fence does not count
	Trigger int           // the trigger that was in force
	Lowered bool          // to that, since the source is certain to use a tool

	// Instead is the source whose response of the same kind ends to make room for this
	// one. It is valid only then.
	Instead netip.Prefix

	// Refused says to drop the SYN that waited for [Engine.Doubt], with or without a
	// fence.
	Refused bool

	// Tell asks for an event: for the first, second, fourth, eighth ... probe of a source
	// and for every reaction, but of all sources together no more than a journal can
	// bear.
	Tell bool

	// Release asks to take the source out of the held set: the kernel held it
	// for this probe, and there is nothing against it.
	Release bool

	Pattern    Pattern        // what the source's probes are together, so far
	NewPattern bool           // and whether this probe made it so
	Tool       probe.Tool     // what sends such packets
	Proven     bool           // completed connections are the probe, or the grounds of a reaction
	Score      int            // decibans for a scanner, this probe included; 0 if nothing is weighed
	Observed   probe.Observed // what of it this probe showed
	Known      string         // the list of Config.Known that the source is in
	Behind     bool           // the probe went to a network behind this host

	// The evidence. Ports that other sources probed with the same packet are
	// left out, unless decoys are to be blocked.
	Probes  uint32 // of the source, without retransmissions
	Within  int    // distinct ports of its kind inside the window: TCP with SCTP, UDP, or the rest
	Copied  int    // and besides these, ports that others probed with the same packet
	Inside  int    // distinct ports inside the window, of all kinds
	Targets int    // distinct addresses of ours inside the window and the one before, at least
	Ports   int    // distinct ports inside the slow window, of all kinds, at most 32
	Sources int    // senders of a decoy's packet, those that share a scan, newcomers of a flood
	Shared  int    // the ports that the sources of a distributed scan share

	Connections int // completed ones to different ports inside the window; of a proof its own
	Invited     int // and of those, the ones led to the trap from other ports

	Neighbours int // ports like Within that all addresses of an IPv6 link asked; 0 if not a neighbour
}

// A Reason is why a decision was made. The zero Reason is unset.
type Reason uint8

// The reasons.
const (
	_              Reason = iota
	Backscatter           // it answers something that somebody sent in our name
	LateAnswer            // it answers something we sent, too late to be known as that
	Traceroute            // a datagram that somebody sent to see its way here
	Discovery             // a neighbour's answer to a search of the link
	Retransmission        // a copy of a probe that was counted
	Handshake             // a SYN to a trap port, or its connection: how that begins is judged
	BelowTrigger          // not more than the trigger's ports yet
	AboveTrigger          // more than the trigger's ports
	AboveSweep            // more addresses of ours than one is let ask
	AboveSlow             // more ports over days than one is let ask
	AboveCopies           // more than the trigger's ports, with those that others asked alike
	AboveLink             // several addresses of one link asked more ports together than they are let
	AboveAnswers          // more late answers than a service sends
	OverBudget            // the kernel counted more ports, or more packets, than one source may send
	PartOfScan            // part of a distributed scan
	IsDecoy               // several sources sent this packet: at most one of them is real
	IsProtected           // own, gateway, resolver or ignored address
	IsOperator            // unproven, and the operator is logged in from there
	IsConnected           // unproven, and this host has a connection with that address
	InFlood               // unproven, in a flood of new sources, and not standing out of it
	TooMany               // unproven, and as many of those were blocked lately as configured
	AlreadyBlocked        // and the packet was on its way before
	AboveScore            // what it showed so far is that of a scanner
	PartOfNetwork         // others of its network scan too
	AlreadyDark           // and nothing stronger is due
	AlreadyFenced         // and nothing stronger is due
	FencedLately          // unproven, and fenced for as long as it may be in an hour
	AlreadyReacted        // logged, or the command was run, and not again before that is over
	LostBlock             // blocked by our books, but its packets arrive: block it again
	KnownIgnored          // in a list of known sources that are not judged
	KnownFirst            // in a list of known sources that are reacted to at once
	Full                  // as many blocks, or fences, as configured
	LetIn                 // a SYN to a service, with nothing against it
	Turned                // a SYN to a service, of a source that scans
)

// Reasons is the length of a table indexed by Reason.
const Reasons = int(Turned) + 1

var reasonNames = [Reasons]string{
	Backscatter:    "backscatter",
	LateAnswer:     "late answer",
	Traceroute:     "a traceroute",
	Discovery:      "a neighbour's answer to a search",
	Retransmission: "retransmission",
	Handshake:      "handshake under way",
	BelowTrigger:   "not above the trigger",
	AboveTrigger:   "above the trigger",
	AboveSweep:     "above the limit of a sweep",
	AboveSlow:      "above the limit of a slow scan",
	AboveCopies:    "above the trigger with what others sent too",
	IsOperator:     "not proven, and the operator is logged in from there",
	AboveLink:      "above the limit of a link",
	AboveAnswers:   "above the limit of late answers",
	OverBudget:     "above what the rules let one source have",
	PartOfScan:     "part of a distributed scan",
	IsDecoy:        "one of several senders of the same packet",
	IsProtected:    "protected address",
	IsConnected:    "connected peer, not proven",
	InFlood:        "not proven, in a flood of new sources",
	TooMany:        "not proven, and many of those were blocked lately",
	KnownIgnored:   "in a list that is ignored",
	KnownFirst:     "in a list that is blocked at once",
	AboveScore:     "what it sends is what scanners send",
	PartOfNetwork:  "one of several scanners of a network",
	AlreadyDark:    "already dark",
	AlreadyBlocked: "already blocked",
	AlreadyFenced:  "already fenced",
	FencedLately:   "not proven, and fenced already in this hour",
	AlreadyReacted: "already reacted to",
	LostBlock:      "block was lost, renewed",
	Full:           "as many blocks as configured",
	LetIn:          "let in to a service",
	Turned:         "turned away from a service: what it sends is what scanners send",
}

// limits is the set of reasons above a limit.
const limits = 1<<AboveTrigger | 1<<AboveSweep | 1<<AboveSlow | 1<<AboveCopies | 1<<AboveLink |
	1<<AboveAnswers | 1<<OverBudget | 1<<PartOfScan | 1<<KnownFirst

// above reports whether r says that a source is above a limit.
func (r Reason) above() bool { return uint64(limits)>>r&1 == 1 }

// String returns the reason in words.
func (r Reason) String() string {
	if int(r) < Reasons {
		return reasonNames[r]
	}
	return ""
}

// Evidence returns the grounds of the decision in words, "" for a single packet.
func (d *Decision) Evidence() string {
	switch d.Reason {
	case Backscatter:
		switch {
		case d.NewPattern && d.Source.IsValid():
			return fmt.Sprintf("more than %d answers of %s within a day to what this host never sent: "+
				"somebody forges this host's address to it",
				crowd.VictimAnswers, strings.TrimSuffix(d.Source.String(), "/32"))
		case d.NewPattern:
			return fmt.Sprintf("%d answers in seconds to what this host never sent: somebody forges its "+
				"address", d.Probes)
		}
		return ""
	case KnownIgnored, KnownFirst:
		return "list " + d.Known
	case 0, LateAnswer, Traceroute, Discovery, Retransmission, Handshake:
		return ""
	}
	switch {
	case d.Reason == Turned:
		return "a SYN to a service turned away; " + d.Weighed()
	case d.Reason == LetIn, d.Refused:
		return d.Weighed()
	case (d.Reason == AboveScore || d.Reason == PartOfNetwork || d.Reason == AlreadyDark) &&
		(!d.NewPattern || d.Pattern == PortScan):
		if d.NewPattern {
			return ports(d.Inside, "different port") + " inside the window; " + d.Weighed()
		}
		return d.Weighed()
	case d.Pattern == Flood:
		return fmt.Sprintf("%d sources in seconds that were never seen before: until that ends, unproven "+
			"ones are not blocked unless they stand out", d.Sources)
	case d.Reason == AboveTrigger && d.Proven:
		return d.proof()
	case d.Reason == AboveCopies:
		return fmt.Sprintf("%s inside the window, %d let pass; others sent its packets to %d of them too",
			ports(d.Within+d.Copied, "different port"), d.Trigger, d.Copied)
	case d.Reason == AboveLink:
		return fmt.Sprintf("%s from the addresses of its link, %d of them its own",
			ports(d.Neighbours, "different port"), d.Within+d.Copied)
	case d.Reason == AboveAnswers:
		return "late answers to more ports inside the window than a service sends them to"
	case d.Reason == OverBudget:
		return fmt.Sprintf("more ports or packets than the rules let one source have; %s inside the window",
			ports(d.Within, "different port"))
	case d.Pattern == Distributed && d.Sources > 0:
		return fmt.Sprintf("%d sources with the same kind of packet share %d ports", d.Sources, d.Shared)
	case d.Pattern == Decoy && d.Sources == 0:
		return fmt.Sprintf("others sent its packets too; %s of its own", ports(d.Within, "port"))
	case d.Sources > 1:
		return fmt.Sprintf("%d sources sent the same packet; %s of its own", d.Sources,
			ports(d.Within, "port"))
	case (d.Reason == AboveSlow || d.Pattern == SlowScan) && d.Ports > d.Inside:
		return fmt.Sprintf("%s over days, %d of them inside the window", ports(d.Ports, "different port"),
			d.Inside)
	case d.Reason == AboveSweep || d.Pattern == Sweep:
		where := "of"
		if d.Behind {
			where = "of or behind"
		}
		return fmt.Sprintf("%s %s this host, %s", count(d.Targets, "address"), where,
			ports(d.Within, "different port"))
	}
	return fmt.Sprintf("%s inside the window, %d let pass", ports(d.Within, "different port"), d.Trigger)
}

// proof returns the grounds of a proof in words.
func (d *Decision) proof() string {
	text := "proven: completed " + words(d.Connections) + " connection"
	if d.Connections != 1 {
		text += "s"
	}
	switch {
	case d.Invited == d.Connections:
		text += " to different ports that nobody serves"
	case d.Invited > 0:
		text += " to different ports that nobody serves, traps among them"
	case d.Connections == 1:
		text += " to a trap"
	default:
		text += " to different traps"
	}
	return fmt.Sprintf("%s; %s inside the window, %d let pass", text, ports(d.Within, "different port"),
		d.Trigger)
}

// words writes a number as people do.
func words(n int) string {
	few := [...]string{"no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"}
	if n < len(few) {
		return few[n]
	}
	return strconv.Itoa(n)
}

// Weighed returns in words what the probe added to its source's score, "" if nothing is
// weighed.
func (d *Decision) Weighed() string {
	if d.Observed == 0 && d.Score == 0 {
		return ""
	}
	text := fmt.Sprintf("score %d of %d", d.Score, darkAt)
	for o := range d.Observed.All {
		text += fmt.Sprintf("; %+d: %s", o.Decibans(), o)
	}
	return text
}

// ports writes a number of ports. A record holds no more than portSlots.
func ports(n int, what string) string {
	if n >= portSlots {
		return fmt.Sprintf("%d or more %ss", portSlots, what)
	}
	return count(n, what)
}

// count writes "1 port", "2 ports", "2 addresses".
func count(n int, what string) string {
	switch {
	case n == 1:
	case what[len(what)-1] == 's':
		what += "es"
	default:
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
