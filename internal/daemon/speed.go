// SPDX-License-Identifier: MIT

package daemon

import (
	"slices"
	"time"

	"picket/internal/control"
)

// speed remembers how long the last blocks took, from the probe to the
// kernel's acknowledgement.
type speed struct {
	last [1024]time.Duration
	n    int
}

func (s *speed) add(d time.Duration) {
	s.last[s.n%len(s.last)] = d
	s.n++
}

func (s *speed) summary() control.Reaction {
	n := min(s.n, len(s.last))
	if n == 0 {
		return control.Reaction{}
	}
	d := slices.Clone(s.last[:n])
	slices.Sort(d)
	return control.Reaction{Count: n, P50: d[n/2].Microseconds(), P99: d[n*99/100].Microseconds()}
}
