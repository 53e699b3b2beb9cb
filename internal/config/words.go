// SPDX-License-Identifier: MIT

package config

import (
	"encoding/json"
	"slices"

	"picket/engine"
	"picket/internal/probe"
)

// allModes are the modes in the order of messages.
var allModes = []probe.Mode{probe.Classic, probe.Stealth, probe.Advanced}

// Modes is a set of the engine's modes. The zero Modes is empty.
type Modes uint8

// Has reports whether a mode is in the set.
func (s Modes) Has(m probe.Mode) bool { return s&(1<<m) != 0 }

// With returns the set with a mode.
func (s Modes) With(m probe.Mode) Modes { return s | 1<<m }

// Without returns the set without a mode.
func (s Modes) Without(m probe.Mode) Modes { return s &^ (1 << m) }

// Names lists the modes in alphabetical order.
func (s Modes) Names() []string {
	names := []string{}
	for _, m := range allModes {
		if s.Has(m) {
			names = append(names, m.String())
		}
	}
	slices.Sort(names)
	return names
}

// MarshalJSON writes the modes as a list of names.
func (s Modes) MarshalJSON() ([]byte, error) { return json.Marshal(s.Names()) }

// Triggers has a trigger for each mode.
type Triggers [probe.Modes]int

// MarshalJSON writes the triggers by the names of their modes.
func (t Triggers) MarshalJSON() ([]byte, error) {
	named := map[string]int{}
	for _, m := range allModes {
		named[m.String()] = t[m]
	}
	return json.Marshal(named)
}

// When says whether a command runs before or after the block.
type When bool

// The values of When.
const (
	After  When = false
	Before When = true
)

// String returns the word for run.when.
func (w When) String() string {
	if w == Before {
		return "before"
	}
	return "after"
}

// MarshalText implements encoding.TextMarshaler.
func (w When) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// A Policy is the answer to a known source.
type Policy engine.Action

// The policies.
const (
	PolicyIgnore = Policy(engine.None)
	PolicyLog    = Policy(engine.Log)
	PolicyBlock  = Policy(engine.Block)
	PolicyDrop   = PolicyBlock + 1 // in the kernel, before anything is judged
)

// String returns the word for known.policy.
func (p Policy) String() string {
	switch p {
	case PolicyIgnore:
		return "ignore"
	case PolicyDrop:
		return "drop"
	}
	return engine.Action(p).String()
}

// MarshalText implements encoding.TextMarshaler.
func (p Policy) MarshalText() ([]byte, error) { return []byte(p.String()), nil }
