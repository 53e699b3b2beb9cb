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
// second, in a table of buckets that does not grow. It holds a million, three
// times what comes by in an hour of fenceRate: one in 800 of these goes before its
// time (TestLately).
type lately struct {
	fenced []uint64 // tag and second; made when it is needed
	seed   uint64
}

const latelySlots = 1 << 20

// bucket returns the places where k may be, and its tag.
func (l *lately) bucket(k key) (places []uint64, tag uint64) {
	h := k.mix(l.seed)
	at := h & (latelySlots/bucketSize - 1) * bucketSize
	return l.fenced[at : at+bucketSize], h >> 32
}

// free reports whether k may be fenced at a time.
func (l *lately) free(k key, now int64) bool {
	if l.fenced == nil {
		return true
	}
	places, tag := l.bucket(k)
	for _, x := range places {
		if x != 0 && x>>32 == tag && sinceFence(x, now) < fencePause {
			return false
		}
	}
	return true
}

// note books that k is fenced from a time on.
func (l *lately) note(k key, now int64) {
	if l.fenced == nil {
		l.fenced = make([]uint64, latelySlots)
	}
	places, tag := l.bucket(k)
	oldest := 0
	for i, x := range places {
		if x == 0 || x>>32 == tag {
			oldest = i
			break
		}
		if sinceFence(x, now) > sinceFence(places[oldest], now) {
			oldest = i
		}
	}
	places[oldest] = tag<<32 | uint64(uint32(now/int64(time.Second)+1)) // the second has not ended yet
}

// sinceFence returns the time since the fence of an entry began.
func sinceFence(x uint64, now int64) int64 {
	return int64(int32(uint32(now/int64(time.Second))-uint32(x))) * int64(time.Second)
}
