// SPDX-License-Identifier: MIT

package control

import (
	"slices"
	"time"
)

// A Speed remembers how long the last blocks took, from the probe to the
// kernel's acknowledgement. The zero value remembers none. It is for one goroutine.
type Speed struct {
	last [1024]time.Duration
	n    int
}

// Add notes the time of one block.
func (s *Speed) Add(d time.Duration) {
	s.last[s.n%len(s.last)] = d
	s.n++
}

// Summary returns the median and the 99th percentile.
func (s *Speed) Summary() Reaction {
	n := min(s.n, len(s.last))
	if n == 0 {
		return Reaction{}
	}
	d := slices.Clone(s.last[:n])
	slices.Sort(d)
	return Reaction{Count: n, P50: d[n/2].Microseconds(), P99: d[n*99/100].Microseconds()}
}
