// SPDX-License-Identifier: MIT

package event

// A Maker is who made a block.
type Maker uint8

// The makers.
const (
	ByProbe Maker = iota // picket, for what the source sent
	ByHand               // a person, by "picket block"
	Outside              // another process, which added it to the set
	Earlier              // an earlier run, for reasons that are not known
)

// HandConfig is [Event.Config] of a block that somebody ordered.
const HandConfig = "by hand"

// Ordered reports whether somebody ordered the block: by hand, or from outside.
func (m Maker) Ordered() bool { return m == ByHand || m == Outside }
