// SPDX-License-Identifier: MIT

package event

// A Maker is the maker of a block.
type Maker uint8

// The makers.
const (
	ByProbe Maker = iota // picket, after probes
	ByHand               // a person, by "picket block"
	Outside              // another process, by adding it to the set
	Earlier              // an earlier run, for unknown reasons
)

// HandConfig is [Event.Config] of a block by hand.
const HandConfig = "by hand"

// Ordered reports whether the block was ordered: by hand, or from outside.
func (m Maker) Ordered() bool { return m == ByHand || m == Outside }
