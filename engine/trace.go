// SPDX-License-Identifier: MIT

package engine

import (
	"math/bits"
	"time"

	"picket/internal/probe"
)

// A trace is what stays of a source whose record was needed for another: one
// cache line with its latest ports. A scan of one port in hours is pieced
// together from it, however many forged sources pass in between.
type trace struct {
	probe.Key
	first   uint32 // seconds of the engine's time
	last    uint32
	classes uint32 // two bits a port
	port    [traceSlots]uint16
	used    uint8
	flags   uint8
	tool    probe.Tool
	agreed  uint8 // 3 at most, in the low bits, and above them the score, 0 to 63
}

// wasDark takes the place of decoyed, which a trace does not keep.
const wasDark = decoyed

// traceSlots is how many ports a trace holds: MaxSlow, so that the next port
// decides.
const traceSlots = 16

// traces holds them, in buckets of eight. Only sources worth it enter: see worth. A full
// bucket drops the trace of the fewest ports, and of several the oldest, so forgers
// cannot push out what took a scanner the longest to show.
type traces struct {
	all  []trace
	tags []tags // by bucket
	seed uint64
	used int
}

func newTraces(sources int, seed uint64) *traces {
	n := max(bucketSize, 1<<(bits.Len(uint(sources))-2)) // half as many, or a quarter
	return &traces{all: make([]trace, n), tags: make([]tags, n/bucketSize), seed: seed ^ probe.Golden}
}

func (m *traces) clear() {
	clear(m.tags)
	m.used = 0
}

// bucket returns k's bucket, and its tag.
func (m *traces) bucket(k probe.Key) (bucket int, tag uint8) {
	h := k.Mix(m.seed)
	return int(h & uint64(len(m.tags)-1)), tagOf(h)
}

// at returns the number of k's trace, or -1.
func (m *traces) at(k probe.Key) int {
	b, tag := m.bucket(k)
	for x := m.tags[b].equal(tag); x != 0; x &= x - 1 {
		if i := b*bucketSize + bits.TrailingZeros64(x)/8; m.all[i].Key == k {
			return i
		}
	}
	return -1
}

// drop forgets a trace.
func (m *traces) drop(i int) {
	m.tags[i/bucketSize].set(i%bucketSize, 0)
	m.used--
}

// take moves k's trace into s, a new record. False means that there is none as late as
// horizon.
func (m *traces) take(k probe.Key, s *source, horizon int64) bool {
	i := m.at(k)
	if i < 0 {
		return false
	}
	m.drop(i)
	t := &m.all[i]
	if t.at() < horizon {
		return false
	}
	t.fill(s)
	return true
}

// at returns when the source was last seen.
func (t *trace) at() int64 { return int64(t.last) * int64(time.Second) }

// fill makes a record of a trace.
func (t *trace) fill(s *source) {
	s.first, s.last = t.first, t.at()
	s.flags, s.tool, s.agreed, s.score = t.flags&^wasDark, t.tool, t.agreed&3, int8(t.agreed>>2)
	if t.flags&wasDark != 0 {
		s.marks = markDark
	}
	for p := range int(t.used) {
		s.setPort(p, t.port[p], uint8(t.classes>>(2*p)&3))
	}
	s.used, s.next, s.ports = t.used, t.used, uint16(t.used)
	s.current = 1<<t.used - 1
}

// worth reports whether s is worth a trace: a source of a single port may be anybody,
// unless it is proven or its score says that it scans.
func (s *source) worth() bool { return s.used >= 2 || s.flags&proven != 0 || s.score >= darkAt }

// put stores what a trace can hold of s, if s is worth it. Traces older than horizon are
// free.
func (m *traces) put(s *source, horizon int64) {
	if !s.worth() || s.last < horizon {
		return
	}
	b, tag := m.bucket(s.Key)
	all, place := m.all[b*bucketSize:][:bucketSize], 0
	for i := range all {
		if m.tags[b].at(i) == 0 || all[i].at() < horizon {
			place = i
			break
		}
		if t, p := &all[i], &all[place]; t.used < p.used || t.used == p.used && t.last < p.last {
			place = i
		}
	}
	if t := &all[place]; m.tags[b].at(place) == 0 {
		m.used++
	} else if t.at() >= horizon && t.used > min(s.used, traceSlots) {
		return // everybody there has shown more
	}
	m.tags[b].set(place, tag)
	all[place] = traceOf(s)
}

// traceOf returns the trace of a record: its latest ports.
func traceOf(s *source) trace {
	t := trace{Key: s.Key, first: s.first, last: uint32(s.last / int64(time.Second)),
		flags: s.flags &^ decoyed, tool: s.tool, agreed: min(s.agreed&agreedMost,
			certainAfter) | uint8(min(max(s.score, 0), 63))<<2}
	if s.marks&markDark != 0 {
		t.flags |= wasDark
	}
	for i := max(0, int(s.used)-traceSlots); i < int(s.used); i++ {
		slot := s.ith(i)
		t.port[t.used] = s.portAt(slot)
		t.classes |= uint32(s.classAt(slot)) << (2 * t.used)
		t.used++
	}
	return t
}
