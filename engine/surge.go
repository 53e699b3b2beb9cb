// SPDX-License-Identifier: MIT

package engine

import "time"

// A surge counts what comes in spans of some nine seconds, by the engine's
// time, and tells when it is much. It is over once a whole span stayed below a
// quarter of that.
type surge struct {
	span  int64 // number of the present span
	count int   // in it
	on    bool
}

// surgeSpan is the length of a span as a shift: 2^33 ns, 8.6 s.
const surgeSpan = 33

// turn moves on to the span of now.
func (s *surge) turn(now int64, much int) {
	span := now >> surgeSpan
	if span == s.span {
		return
	}
	if span != s.span+1 || s.count < much/4 {
		s.on = false
	}
	s.span, s.count = span, 0
}

// add counts one and reports whether that made it a surge.
func (s *surge) add(now int64, much int) bool {
	s.turn(now, much)
	s.count++
	if s.on || s.count <= much {
		return false
	}
	s.on = true
	return true
}

// What a journal can bear of all sources together: ten probes and ten patterns a
// second, over bursts of a hundred.
const (
	tellEach  = int64(time.Second / 10)
	tellBurst = int64(10 * time.Second)
)
