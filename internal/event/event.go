// SPDX-License-Identifier: MIT

// Package event is what picket tells: one record for the journal, the commands,
// the history and every --json stream, who made a block among its fields.
package event

import (
	"net/netip"
	"strconv"
	"time"
)

// An Event is what picket tells the world: one journal entry, one line of a
// --json stream, the standard input of a run hook. Its JSON keys are a
// contract; in the journal they are upper case behind PICKET_.
type Event struct {
	Event       string     `json:"event"` // probe, pattern, block, unblock, expire, ignore, lost, notice, trial
	Time        time.Time  `json:"time"`
	Source      string     `json:"source,omitempty"` // address or prefix
	Destination netip.Addr `json:"destination,omitzero"`
	Protocol    string     `json:"protocol,omitempty"`
	Port        uint16     `json:"port,omitempty"`
	SourcePort  uint16     `json:"source_port,omitempty"`
	Mode        string     `json:"mode,omitempty"`
	Technique   string     `json:"technique,omitempty"`
	Flags       string     `json:"flags,omitempty"`
	Interface   string     `json:"interface,omitempty"`
	Pattern     string     `json:"pattern,omitempty"`
	Tool        string     `json:"tool"`
	Proven      bool       `json:"proven"`
	Probes      uint32     `json:"probes,omitempty"`
	PortsSeen   uint32     `json:"ports_seen,omitempty"`
	TargetsSeen uint32     `json:"targets_seen,omitempty"`
	Ports       []string   `json:"ports,omitempty"` // the first 32, "tcp/22"
	First       time.Time  `json:"first,omitzero"`
	Last        time.Time  `json:"last,omitzero"`
	Action      string     `json:"action,omitempty"` // none, log, block, run; of a response: dark, fence, block
	Would       string     `json:"would,omitempty"`  // in a trial, the action that was not taken: dark, fence, block
	For         Seconds    `json:"for_s,omitempty"`
	Drops       uint64     `json:"drops,omitempty"` // packets that a block kept off, told at its end
	Reason      string     `json:"reason,omitempty"`
	Evidence    string     `json:"evidence,omitempty"` // what the reason rests on: "26 different ports inside the window, 25 let pass"
	Country     string     `json:"country,omitempty"`  // of the source, two letters (ISO 3166-1)
	ASN         uint32     `json:"asn,omitempty"`      // the source's autonomous system
	Network     string     `json:"network,omitempty"`  // and who holds it
	Known       string     `json:"known,omitempty"`    // the operator's list that the source is in
	Data        string     `json:"data,omitempty"`     // what a trapped peer sent first, quoted
	Config      string     `json:"config,omitempty"`   // what was set to make it so: "tcp.trigger.stealth = 0"
}

// Seconds is a duration that JSON shows in whole seconds, rounded up.
type Seconds time.Duration

// MarshalJSON implements json.Marshaler.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return []byte(s.String()), nil
}

// String returns the whole seconds, rounded up.
func (s Seconds) String() string {
	return strconv.FormatInt(int64((time.Duration(s)+time.Second-1)/time.Second), 10)
}

// SourceName writes an address as such, without the length of a prefix, and a
// prefix as a prefix.
func SourceName(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// Why says in a few words why a source was blocked: what the reason rests on if
// that is known, else the reason, with the operator's list that it was about.
func Why(reason, evidence, known string) string {
	switch {
	case known != "":
		return reason + " (" + known + ")"
	case evidence != "":
		return evidence
	}
	return reason
}
