// SPDX-License-Identifier: MIT

package control

import (
	"net/netip"
	"time"
)

// Explanation is the answer to "explain": the facts about a source, and why it is
// blocked or not.
type Explanation struct {
	Source  string   `json:"source"`  // the address, or the prefix that is one source
	State   string   `json:"state"`   // blocked, protected, spared, watched, unknown
	Summary string   `json:"summary"` // the answer in a sentence
	Why     []string `json:"why"`     // sentences
	Change  []string `json:"change"`  // what would change it, in sentences

	Protected []Protection `json:"protected"`
	List      *List        `json:"list"` // the list of known sources with it; null: none
	Country   string       `json:"country,omitempty"`
	ASN       uint32       `json:"asn,omitempty"`
	Network   string       `json:"network,omitempty"`
	Connected bool         `json:"connected"` // it has a TCP connection with this host now
	Blocks    []InForce    `json:"blocks"`    // on it, or on a part of it
	Known     *Known       `json:"known"`     // null: the engine knows nothing of it

	Probes []KeptProbe `json:"probes"`       // the last ones, the oldest first
	Since  uint32      `json:"probes_since"` // number of probes since the first of them, with copies
}

// Protection is a prefix that is never blocked, and why.
type Protection struct {
	Prefix string `json:"prefix"`
	Why    string `json:"why"`
	Config string `json:"config"` // the setting behind it
}

// List is an operator's list of known sources.
type List struct {
	Name   string `json:"name"`
	Policy string `json:"policy"` // ignore, log or block
}

// InForce is a block that the kernel has acknowledged.
type InForce struct {
	Block
	Config    string `json:"config"`
	ByHand    bool   `json:"by_hand"`
	Protocol  string `json:"protocol,omitempty"`
	Port      uint16 `json:"port,omitempty"`
	Commanded bool   `json:"commanded"` // the operator's command has run for it
}

// Known is what the engine knows of a source.
type Known struct {
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Probes   uint32    `json:"probes"`
	Repeated uint32    `json:"repeated"`
	PortsAll uint32    `json:"ports_seen"`
	Targets  int       `json:"targets_seen"`
	Ports    []string  `json:"ports"`
	Tool     string    `json:"tool"`
	Pattern  string    `json:"pattern"`
	Proven   bool      `json:"proven"`
	Offences int       `json:"offences"`
}

// KeptProbe is one probe and the decision about it.
type KeptProbe struct {
	Time        time.Time  `json:"time"`
	Source      netip.Addr `json:"source"`
	Destination netip.Addr `json:"destination"`
	Protocol    string     `json:"protocol"`
	Port        uint16     `json:"port"`
	SourcePort  uint16     `json:"source_port"`
	Mode        string     `json:"mode"`
	Technique   string     `json:"technique"`
	Flags       string     `json:"flags,omitempty"`
	Interface   string     `json:"interface,omitempty"`
	Pattern     string     `json:"pattern,omitempty"`
	NewPattern  bool       `json:"new_pattern,omitempty"` // this probe completed the pattern
	Tool        string     `json:"tool"`
	Proven      bool       `json:"proven"`
	Action      string     `json:"action"`
	For         int64      `json:"for_s,omitempty"`
	Reason      string     `json:"reason"`
	Decision    string     `json:"decision"` // action and reason in words, with the numbers
	Config      string     `json:"config"`
	Length      int        `json:"length"`           // of the packet on the wire; 0 if that is not known
	Packet      []byte     `json:"packet,omitempty"` // the first bytes of the IP packet
	Data        string     `json:"data,omitempty"`   // what a trapped peer sent first, quoted
}
