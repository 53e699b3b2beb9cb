// SPDX-License-Identifier: MIT

package config

import "picket/nft"

// Door is the section of that name: what is refused at ports that are served.
type Door struct {
	Raw DoorPolicy `json:"raw"`
}

// A DoorPolicy says what is done about a SYN that no client's stack sends. The
// zero DoorPolicy is DoorLog.
type DoorPolicy uint8

// The policies.
const (
	DoorLog  DoorPolicy = iota // it is served, and counted
	DoorDrop                   // it is refused at the first packet
)

// String returns the policy as configuration spells it.
func (p DoorPolicy) String() string {
	if p == DoorDrop {
		return "drop"
	}
	return "log"
}

// MarshalText implements [encoding.TextMarshaler].
func (p DoorPolicy) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

func (d *Door) read(s *section) {
	choice(s, "raw", &d.Raw, DoorLog, DoorDrop)
	s.end()
}

// ports returns the ports at which such a SYN is refused.
func (d *Door) ports(dryRun bool) []nft.Range {
	if d.Raw == DoorLog || dryRun {
		return nil
	}
	return []nft.Range{{From: 1, To: 65535}}
}
