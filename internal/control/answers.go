// SPDX-License-Identifier: MIT

package control

import (
	"fmt"
	"net/netip"
	"time"

	"picket/internal/event"
)

// Status is the answer to "status".
type Status struct {
	Version  string              `json:"version"`
	Kernel   string              `json:"kernel"`
	Pid      int                 `json:"pid"`
	Uptime   int64               `json:"uptime_s"`
	Config   string              `json:"config"` // the file, or "embedded default"
	DryRun   bool                `json:"dry_run"`
	Group    uint16              `json:"group"`
	Modes    map[string][]string `json:"modes"` // by section
	Probes   uint64              `json:"probes"`
	Lost     uint64              `json:"lost"`    // probes that did not reach the engine
	Garbage  uint64              `json:"garbage"` // mirrored packets that are no probe
	Sources  int                 `json:"sources"`
	Evicted  uint64              `json:"evicted"`  // sources forgotten to make room
	Traces   int                 `json:"traces"`   // of forgotten sources, kept for slow scans
	Flooding bool                `json:"flooding"` // more new sources come than can be real
	Evidence Evidence            `json:"evidence"`
	Blocks   int                 `json:"blocks"`
	Untold   uint64              `json:"untold"`          // events left out to spare the journal
	Reasons  map[string]uint64   `json:"reasons"`         // probes by the reason of the decision
	Known    map[string]uint64   `json:"known,omitempty"` // probes by the operator's lists
	Buffer   int                 `json:"receive_buffer"`
	Reaction Reaction            `json:"reaction_us"`
	Inline   *Inline             `json:"inline,omitempty"` // if it is wanted
	Trial    *Trial              `json:"trial,omitempty"`  // in a dry run
	Rules    map[string]uint64   `json:"rules"`            // counters of the kernel's rules, by name
}

// Inline is the state of the inline verdict, and how many SYNs waited for it.
type Inline struct {
	Off     string `json:"off,omitempty"` // why it is off, though wanted
	Queue   uint16 `json:"queue"`         // number of the NFQUEUE
	By      string `json:"by"`            // the kernel's expression: nft_queue or xt_NFQUEUE
	Held    uint64 `json:"held"`          // waited
	Let     uint64 `json:"let"`           // of these, let pass
	Refused uint64 `json:"refused"`       // turned away
	Aged    uint64 `json:"aged"`          // let pass because no verdict came in time
	Errors  uint64 `json:"errors"`        // verdicts that the kernel would not take
}

// Evidence is the use of the memory of single probes, for "explain".
type Evidence struct {
	Probes   int `json:"probes"`
	Capacity int `json:"capacity"` // 0: nothing is kept
	Sources  int `json:"sources"`
}

// Reaction is how long the last blocks took, from the kernel's timestamp of
// the probe to the kernel's acknowledgement, in microseconds.
type Reaction struct {
	Count int   `json:"count"`
	P50   int64 `json:"p50"`
	P99   int64 `json:"p99"`
}

// Source is one line of the answer to "sources": a source seen lately.
type Source struct {
	Name     string    `json:"source"` // the address, or the prefix
	Probes   uint32    `json:"probes"`
	Ports    uint32    `json:"ports_seen"`
	Targets  int       `json:"targets_seen"`
	Pattern  string    `json:"pattern"`
	Tool     string    `json:"tool"`
	Proven   bool      `json:"proven"`
	Blocked  bool      `json:"blocked"`
	Offences int       `json:"offences"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Country  string    `json:"country,omitempty"`
	ASN      uint32    `json:"asn,omitempty"`
	Network  string    `json:"network,omitempty"`
}

// Block is one line of the answer to "blocks".
type Block struct {
	Source    netip.Prefix `json:"-"`
	Name      string       `json:"source"` // the address, or the prefix
	Response  string       `json:"response"`
	Expires   time.Time    `json:"expires"`
	Remaining int64        `json:"remaining_s"`
	Since     time.Time    `json:"since"`
	Reason    string       `json:"reason"`
	Evidence  string       `json:"evidence,omitempty"` // for the reason
	Pattern   string       `json:"pattern"`
	Technique string       `json:"technique"`
	Proven    bool         `json:"proven"`
	Drops     uint64       `json:"drops"`
	Known     string       `json:"known,omitempty"`   // the operator's list that the source is in
	Country   string       `json:"country,omitempty"` // two letters
}

// BlockOf describes a response by its event. At completes it.
func BlockOf(ev *event.Event, source netip.Prefix, response string, since, until time.Time) Block {
	return Block{
		Source: source, Name: event.SourceName(source), Response: response, Since: since, Expires: until,
		Reason: ev.Reason, Evidence: ev.Evidence, Pattern: ev.Pattern, Technique: ev.Technique,
		Proven: ev.Proven,
		Known:  ev.Known, Country: ev.Country,
	}
}

// At returns the block with the time left at now.
func (b Block) At(now time.Time) Block {
	b.Remaining = secondsLeft(b.Expires, now)
	return b
}

// Trial is the answer to "trial": the would-be effect of a dry run so far.
type Trial struct {
	Since    time.Time `json:"since"`
	Sources  int       `json:"sources"`  // that it would have answered
	Unwanted uint64    `json:"unwanted"` // probes of unserved ports, without ordinary life
	Kept     uint64    `json:"kept"`     // of these, those it would have kept off
	Blocks   []Block   `json:"blocks,omitempty"`
}

// Share is the part of the unwanted probes that would have been kept off, as
// "85.5 %".
func (t *Trial) Share() string {
	if t.Unwanted == 0 {
		return "0 %"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(min(t.Kept, t.Unwanted))/float64(t.Unwanted))
}
