// SPDX-License-Identifier: MIT

package book

import (
	"time"

	"picket/internal/probe"
)

// FencePause is the time, in nanoseconds, from the beginning of one fence of a source to
// the next: whatever is sent in its name, it is free for fifty minutes of sixty.
const FencePause = int64(time.Hour)

// Lately remembers the fences of the last hour, by a tag of the source and the second.
// Its table doubles as it fills, up to a million places: three times what the engine's
// fenceRate makes in an hour, so that one fence in 800 is forgotten early (the engine's
// TestLately). Make one with [NewLately].
type Lately struct {
	fenced []uint64 // tag and second, 0 for a free place
	used   int
	seed   uint64
}

const (
	latelyLeast  = 1 << 12
	latelyMost   = 1 << 20
	latelyPlaces = 8 // of a bucket
)

// NewLately returns an empty one. The seed decides which sources share a bucket.
func NewLately(seed uint64) Lately { return Lately{seed: seed} }

// bucket returns the places where a tag may be.
func (l *Lately) bucket(tag uint64) []uint64 {
	at := tag % uint64(len(l.fenced)/latelyPlaces) * latelyPlaces
	return l.fenced[at : at+latelyPlaces]
}

func (l *Lately) tagOf(k probe.Key) uint64 { return k.Mix(l.seed) >> 32 }

// Free reports whether k may be fenced at a time.
func (l *Lately) Free(k probe.Key, now int64) bool {
	if l.fenced == nil {
		return true
	}
	tag := l.tagOf(k)
	for _, x := range l.bucket(tag) {
		if x != 0 && x>>32 == tag && sinceFence(x, now) < FencePause {
			return false
		}
	}
	return true
}

// Note books that k is fenced from a time on.
func (l *Lately) Note(k probe.Key, now int64) {
	if n := len(l.fenced); n < latelyMost && l.used >= n/4 {
		old := l.fenced
		l.fenced, l.used = make([]uint64, max(latelyLeast, 2*n)), 0
		for _, x := range old {
			if x != 0 && sinceFence(x, now) < FencePause {
				l.put(x, now)
			}
		}
	}
	l.put(l.tagOf(k)<<32|uint64(uint32(now/int64(time.Second)+1)), now) // the second has not ended yet
}

// put takes the place of the entry with the same tag, a free one or the oldest.
func (l *Lately) put(entry uint64, now int64) {
	places := l.bucket(entry >> 32)
	oldest := 0
	for i, x := range places {
		if x == 0 || x>>32 == entry>>32 {
			oldest = i
			break
		}
		if sinceFence(x, now) > sinceFence(places[oldest], now) {
			oldest = i
		}
	}
	if places[oldest] == 0 {
		l.used++
	}
	places[oldest] = entry
}

// sinceFence returns the time since the fence of an entry began.
func sinceFence(x uint64, now int64) int64 {
	return int64(int32(uint32(now/int64(time.Second))-uint32(x))) * int64(time.Second)
}
