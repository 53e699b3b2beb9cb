// SPDX-License-Identifier: MIT

package engine

import "time"

// FenceTime is how long a fence lasts. It does not grow: what it rests on may be
// forged by somebody who wants to see its source fenced.
const FenceTime = 10 * time.Minute

// fencePause is the time from the beginning of one fence of a source to the
// next: whatever is sent in its name, it is free for fifty minutes of sixty.
const fencePause = int64(time.Hour)

// fenceRate is how many sources may be fenced in a minute, and as many at once
// after a quiet one. Whoever forges as many stays below half of Config.Blocks
// as it is by default, and below the room of lately.
const fenceRate = 6000

// lately remembers who was fenced in the last hour: of each source a tag and the
// second, in a table of buckets that doubles as it fills, up to a million places:
// three times what comes by in an hour of fenceRate, so that one in 800 of these
// goes before its time (TestLately).
type lately struct {
	fenced []uint64 // tag and second, 0 for a free place
	used   int
	seed   uint64
}

const (
	latelyLeast = 1 << 12
	latelyMost  = 1 << 20
)

// bucket returns the places where a tag may be.
func (l *lately) bucket(tag uint64) []uint64 {
	at := tag % uint64(len(l.fenced)/bucketSize) * bucketSize
	return l.fenced[at : at+bucketSize]
}

func (l *lately) tagOf(k key) uint64 { return k.mix(l.seed) >> 32 }

// free reports whether k may be fenced at a time.
func (l *lately) free(k key, now int64) bool {
	if l.fenced == nil {
		return true
	}
	tag := l.tagOf(k)
	for _, x := range l.bucket(tag) {
		if x != 0 && x>>32 == tag && sinceFence(x, now) < fencePause {
			return false
		}
	}
	return true
}

// note books that k is fenced from a time on.
func (l *lately) note(k key, now int64) {
	if n := len(l.fenced); n < latelyMost && l.used >= n/4 {
		old := l.fenced
		l.fenced, l.used = make([]uint64, max(latelyLeast, 2*n)), 0
		for _, x := range old {
			if x != 0 && sinceFence(x, now) < fencePause {
				l.put(x, now)
			}
		}
	}
	l.put(l.tagOf(k)<<32|uint64(uint32(now/int64(time.Second)+1)), now) // the second has not ended yet
}

// put takes the place of the entry with the same tag, a free one or the oldest.
func (l *lately) put(entry uint64, now int64) {
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
