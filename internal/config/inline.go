// SPDX-License-Identifier: MIT

package config

import "picket/engine"

// Inline is section [inline]: the SYNs that wait until they are judged.
type Inline struct {
	Ports InlinePorts `json:"ports"`
}

// InlinePorts are the ports with waiting SYNs. The zero InlinePorts is InlineNone.
type InlinePorts uint8

// The ports.
const (
	InlineNone InlinePorts = iota // none
	InlineOpen                    // served ones
)

// String returns the ports as configuration spells them.
func (p InlinePorts) String() string {
	if p == InlineOpen {
		return "open"
	}
	return ""
}

// MarshalText implements [encoding.TextMarshaler].
func (p InlinePorts) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

func (i *Inline) read(s *section) {
	choice(s, "ports", &i.Ports, InlineNone, InlineOpen)
	s.end()
}

// Inlined reports whether SYNs wait for a verdict. In a dry run none does.
func (c *Config) Inlined() bool { return c.Inline.Ports == InlineOpen && !c.DryRun }

// checkInline faults an inline verdict that could never be given.
func (c *Config) checkInline(top *section) {
	need := ""
	switch {
	case c.Inline.Ports == InlineNone:
		return
	case c.Block.Style != engine.Graded:
		need = `block.style = "graded"`
	case c.Detect.Score != engine.Dark:
		need = `detect.score = "dark"`
	case c.TCP.Action != engine.Block:
		need = `tcp.action = "block"`
	default:
		return
	}
	top.fault("inline.ports", `is "open", and would turn nobody away: it goes by the score, and needs `+need)
}
