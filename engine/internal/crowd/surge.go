// SPDX-License-Identifier: MIT

package crowd

// A Surge counts arrivals in spans of 8.6 seconds of the engine's time, and is on once a
// span has too many. It is over after a whole span below a quarter of that.
type Surge struct {
	span  int64 // number of the present span
	Count int   // in it
	On    bool
}

// surgeSpan is the length of a span as a shift: 2^33 ns, 8.6 s.
const surgeSpan = 33

// Turn moves on to the span of now.
func (s *Surge) Turn(now int64, much int) {
	span := now >> surgeSpan
	if span == s.span {
		return
	}
	if span != s.span+1 || s.Count < much/4 {
		s.On = false
	}
	s.span, s.Count = span, 0
}

// Add counts one and reports whether that made it a surge.
func (s *Surge) Add(now int64, much int) bool {
	s.Turn(now, much)
	s.Count++
	if s.On || s.Count <= much {
		return false
	}
	s.On = true
	return true
}
