// SPDX-License-Identifier: MIT

// Package event is picket's record of an event: for the journal, the commands, the
// history and every --json stream. It also names the maker of a block.
package event

import (
	"net/netip"
	"strconv"
	"time"
)

// An Event is a journal entry, a line of a --json stream, the standard input of a
// run hook. Its JSON keys are a contract; in the journal they are upper case behind
// PICKET_.
type Event struct {
	// probe, pattern, block, unblock, expire, ignore, infection, lost, notice, trial
	Event       string     `json:"event"`
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
	// none, log, block, run; of a response: dark, fence, block
	Action string `json:"action,omitempty"`
	Would  string `json:"would,omitempty"` // in a trial, the action not taken
	// At the end of a response, the ended one: dark, fence, block.
	Response string  `json:"response,omitempty"`
	For      Seconds `json:"for_s,omitempty"`
	Held     uint32  `json:"held_us,omitempty"` // the wait of a SYN for the inline verdict
	Drops    uint64  `json:"drops,omitempty"`   // packets dropped by a block, at its end
	Reason   string  `json:"reason,omitempty"`
	// The basis of the reason: "26 different ports inside the window, 25 let pass".
	Evidence string `json:"evidence,omitempty"`
	Country  string `json:"country,omitempty"` // of the source, two letters (ISO 3166-1)
	ASN      uint32 `json:"asn,omitempty"`     // the source's autonomous system
	Network  string `json:"network,omitempty"` // and its holder
	Known    string `json:"known,omitempty"`   // the operator's list of the source
	Data     string `json:"data,omitempty"`    // the first bytes of a trapped peer, quoted
	// The setting behind it: "tcp.trigger.stealth = 0".
	Config string `json:"config,omitempty"`
}

// Noun is the name of a response in a sentence; a block by default, as the ends of
// older journals do not name theirs.
func Noun(response string) string {
	switch response {
	case "dark":
		return "darkness"
	case "fence":
		return "fence"
	}
	return "block"
}

// Seconds is a duration, in JSON in whole seconds, rounded up.
type Seconds time.Duration

// MarshalJSON implements json.Marshaler.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return []byte(s.String()), nil
}

// String returns the whole seconds, rounded up.
func (s Seconds) String() string {
	return strconv.FormatInt(int64((time.Duration(s)+time.Second-1)/time.Second), 10)
}

// SourceName writes a single address without a prefix length, and a prefix with
// one.
func SourceName(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// Why says in a few words why a source was blocked: the evidence if there is any,
// else the reason, with the operator's list.
func Why(reason, evidence, known string) string {
	switch {
	case known != "":
		return reason + " (" + known + ")"
	case evidence != "":
		return evidence
	}
	return reason
}
