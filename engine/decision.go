// SPDX-License-Identifier: MIT

package engine

import "time"

// A Decision is what to do about one probe, and why.
type Decision struct {
	Action  Action        // what to do; None for most probes
	Reason  Reason        // why
	For     time.Duration // how long the block or the reaction lasts; 0 with None
	Offence int           // how often the source was reacted to, this time included
	Trigger int           // the trigger that was in force

	// Tell asks for an event: the first probe of a source and then the
	// second, fourth, eighth ... is told, and every reaction; and of all
	// sources together no more than a journal can bear.
	Tell bool

	// Release asks to take the source out of the held set: the kernel held it
	// for this probe, and there is nothing against it.
	Release bool

	Pattern    Pattern // what the source's probes are together, so far
	NewPattern bool    // and whether this probe made it so
	Proven     bool    // the source address was shown to be real
	Probes     uint32  // of the source, without retransmissions
	Within     int     // distinct ports inside the window
}

// A Reason is why a decision was made. The zero Reason is unset.
type Reason uint8

// The reasons.
const (
	_              Reason = iota
	Backscatter           // it answers something that somebody sent in our name
	LateAnswer            // it answers something we sent, too late to be known as that
	Retransmission        // a copy of a probe that was counted
	Handshake             // a SYN to a trap port: the connection is judged, not its first packet
	BelowTrigger          // not more than the trigger's ports yet
	AboveTrigger          // more than the trigger's ports
	IsProtected           // own, gateway, resolver or ignored address
	AlreadyBlocked        // and the packet was on its way before
	LostBlock             // blocked by our books, but its packets arrive: block it again
	Full                  // as many blocks as configured
)

// Reasons is how many values a table indexed by Reason needs.
const Reasons = int(Full) + 1

var reasonNames = [Reasons]string{
	Backscatter: "backscatter", LateAnswer: "late answer", Retransmission: "retransmission",
	Handshake: "handshake under way", BelowTrigger: "not above the trigger", AboveTrigger: "above the trigger",
	IsProtected: "protected address", AlreadyBlocked: "already blocked", LostBlock: "block was lost, renewed",
	Full: "as many blocks as configured",
}

// String returns the reason in words.
func (r Reason) String() string {
	if int(r) < Reasons {
		return reasonNames[r]
	}
	return ""
}

// A Pattern is what many probes are together. The zero Pattern is none.
type Pattern uint8

// The patterns.
const (
	NoPattern Pattern = iota
	PortScan          // many ports of few addresses
	Sweep             // few ports of many of our addresses
)

// String returns the pattern as events spell it.
func (p Pattern) String() string {
	switch p {
	case PortScan:
		return "portscan"
	case Sweep:
		return "sweep"
	}
	return ""
}

// patternAt is how many distinct ports, or addresses, make a port scan, or a
// sweep: the five of Snort's port_scan (low sensitivity) and psad's level 1.
const patternAt = 5
