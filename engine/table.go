// SPDX-License-Identifier: MIT

package engine

import (
	"cmp"
	"iter"
	"math"
	"math/bits"
	"slices"

	"picket/internal/probe"
)

// A table finds the record of a source. A full one forgets a source unseen for long.
//
// The cost of a probe is its wait for memory: beyond the processor's own cache (1 MB a
// core where this was measured) an answer takes 150 ns and more. So there is no index and
// no ordered list: the key says where its record may lie, in one of two buckets of eight
// places. The tags of all buckets, 288 KiB by default, mostly stay in the cache, and
// Observe waits for the record alone.
//
// A new source goes into the emptier of its buckets. The table begins with few buckets,
// so that few sources stay in few pages, and doubles them when both buckets of a source
// are full. When it cannot, a source in them moves to its other bucket if that has room.
// There are an eighth more places than sources, so nobody is forgotten before the table
// has as many sources as it may (TestTableHoldsAll). From then on a new source replaces
// the one of its two buckets, fourteen on average, unseen for the longest time.
//
// Age counts arrivals: an epoch ends when a 32nd of the most sources was added. A place
// bears the epoch in which its source was last seen, modulo 128, and whether that ever
// came back. A source that did not counts as 16 epochs older, so a flood of forged
// sources pushes out itself: a source seen again before half as many came as there may be
// stays, as long as a forged one is in its buckets (TestWhoComesBackStays). Nobody stays
// unseen for 128 epochs: by default one new source in 18,432 finds a given bucket and
// replaces its oldest or an older one.
type table struct {
	records []source
	tags    []tags  // by bucket; the places in use come first
	ages    []uint8 // by place: the epoch in which it was last seen, and cameBack
	least   uint64  // buckets at first
	mask    uint64  // bits of a hash that pick among the buckets doubled from one
	used    int     // sources known,
	most    int     // and how many at most
	epoch   uint8
	turn    int    // sources added in this epoch,
	turns   int    // and how many end it
	seed    uint64 // so that nobody can choose sources that collide
	evicted uint64
	ahead   [expectMost]uint32 // see expect
	warmth  uint64             // keeps the compiler from leaving its loads out
}

const (
	noPlace  = -1
	cameBack = 1 << 7       // bit of an age: the source was seen more than once
	epochs   = 1 << 7       // how many are told apart
	lifetime = 32           // in how many of them as many sources are added as there may be
	older    = lifetime / 2 // by how many a source that never came back counts as older
)

func newTable(size int, seed uint64) *table {
	buckets := uint64(size*9/8+bucketSize-1) / bucketSize
	doubled := max(0, bits.Len64(buckets)-7) // from 64 to 127
	least := (buckets + 1<<doubled - 1) >> doubled
	buckets = least << doubled
	return &table{
		records: make([]source, buckets*bucketSize),
		tags:    make([]tags, buckets),
		ages:    make([]uint8, buckets*bucketSize),
		least:   least,
		most:    size,
		turns:   (size + lifetime - 1) / lifetime,
		seed:    seed,
	}
}

// clear forgets everything.
func (t *table) clear() {
	clear(t.tags)
	t.used, t.mask = 0, 0
}

// buckets returns the two buckets of a hash, which may be one.
func (t *table) buckets(h uint64) (a, b uint64) {
	return t.bucket(h & math.MaxUint32), t.bucket(h >> 32)
}

// bucket returns the bucket of half a hash: the high bits pick one of the first buckets,
// the low ones one of those doubled from it.
func (t *table) bucket(half uint64) uint64 { return half*t.least>>32 + half&t.mask*t.least }

// inUse returns how many buckets there are so far.
func (t *table) inUse() uint64 { return t.least * (t.mask + 1) }

// load returns how many places of a bucket are in use.
func (t *table) load(b uint64) int { return (bits.Len64(uint64(t.tags[b])) + 7) / 8 }

// find returns the record of k, seen now, or nil. It reads the last epoch from the
// record, which is needed anyway, and not from the age.
func (t *table) find(k probe.Key) *source {
	i := t.lookup(k)
	if i == noPlace {
		return nil
	}
	s := &t.records[i]
	if s.seen != t.epoch {
		t.saw(i)
	}
	return s
}

// saw marks the source in a place as come back in this epoch.
func (t *table) saw(place int) {
	t.ages[place], t.records[place].seen = t.epoch|cameBack, t.epoch
}

// peek returns the record of k, or nil, and leaves its age as it is.
func (t *table) peek(k probe.Key) *source {
	if i := t.lookup(k); i != noPlace {
		return &t.records[i]
	}
	return nil
}

// lookup returns the place of k, or noPlace. No processor can predict the bucket, so no
// branch depends on it: a match in a is marked by the bit below that of a match in b.
func (t *table) lookup(k probe.Key) int {
	h := k.Mix(t.seed)
	a, b := t.buckets(h)
	for m := t.marks(h, a, b); m != 0; m &= m - 1 {
		if i := placeOf(m, a, b); t.records[i].Key == k {
			return int(i)
		}
	}
	return noPlace
}

// marks marks the places in buckets a and b that have the tag of a hash.
func (t *table) marks(h, a, b uint64) uint64 {
	tag := tagOf(h)
	return t.tags[a].equal(tag)>>1 | t.tags[b].equal(tag)
}

// placeOf returns the place that the lowest mark stands for.
func placeOf(marks, a, b uint64) uint64 {
	bit := uint64(bits.TrailingZeros64(marks))
	return (a+(b-a)*(bit&1))*bucketSize + bit/8
}

// expectMost is the most records fetched at once: they fill no more than half of the
// nearest cache.
const expectMost = 32

// expect loads what find or put will touch for the first expectMost keys. The loads do
// not depend on each other, so the processor waits for all of them at once.
func (t *table) expect(keys []probe.Key) {
	keys = keys[:min(len(keys), expectMost)]
	for i, k := range keys {
		h := k.Mix(t.seed)
		a, b := t.buckets(h)
		if m := t.marks(h, a, b); m != 0 {
			t.ahead[i] = uint32(placeOf(m, a, b))
		} else {
			place, _ := t.pick(a, b)
			t.ahead[i] = uint32(place)
		}
	}
	var sum uint64
	for i := range keys {
		s := &t.records[t.ahead[i]]
		sum += s.Lo + s.port[0] + s.protocols
	}
	t.warmth = sum
}

// pick returns the place for a new source of two buckets: the next free one of the
// emptier, or else that of the source to forget.
func (t *table) pick(a, b uint64) (place int, free bool) {
	if t.load(b) < t.load(a) {
		a, b = b, a
	}
	if n := t.load(a); t.used < t.most && n < bucketSize || t.load(b) == 0 {
		return int(a)*bucketSize + n, true
	}
	return t.oldest(a, b), false
}

// room returns a place for put, and the source that put forgets there, if that may be
// worth a trace: one that came only once is not, and need not be fetched from memory.
func (t *table) room(k probe.Key) (place int, old *source) {
	h := k.Mix(t.seed)
	for {
		a, b := t.buckets(h)
		place, free := t.pick(a, b)
		if free {
			if t.used == t.most {
				t.dropOne()
			}
			return place, nil
		}
		if t.used < t.most {
			if t.inUse() < uint64(len(t.tags)) {
				t.grow()
				continue
			}
			if i := t.shift(a, b); i != noPlace {
				return i, nil
			}
		}
		if t.ages[place] >= cameBack {
			old = &t.records[place]
		}
		return place, old
	}
}

// dropOne forgets any source, for a new one of empty buckets in a full table. Chance does
// that only in a table of some dozens, but the bound holds for all.
func (t *table) dropOne() {
	for b := range t.inUse() {
		if n := t.load(b); n > 0 {
			t.tags[b].set(n-1, 0)
			t.used--
			t.evicted++
			return
		}
	}
}

// put makes the record of k in a place that room returned. The record is zero
// but for its key.
func (t *table) put(place int, k probe.Key) *source {
	b, i := place/bucketSize, place%bucketSize
	if t.tags[b].at(i) == 0 {
		t.used++
	} else {
		t.evicted++
	}
	t.tags[b].set(i, tagOf(k.Mix(t.seed)))
	t.ages[place] = t.epoch
	s := &t.records[place]
	*s = source{Key: k, seen: t.epoch - 1}
	if t.turn++; t.turn == t.turns {
		t.turn, t.epoch = 0, (t.epoch+1)%epochs
	}
	return s
}

// oldest returns the place of two buckets unseen for the longest time.
func (t *table) oldest(a, b uint64) (place int) {
	longest := -1
	for _, b := range [...]uint64{a, b} {
		for i := range t.load(b) {
			i += int(b) * bucketSize
			age := int((t.epoch - t.ages[i]) % epochs)
			if t.ages[i] < cameBack {
				age += older
			}
			if age > longest {
				place, longest = i, age
			}
		}
	}
	return place
}

// shift frees a place in two full buckets: its source moves to its other bucket. It
// returns the place, or noPlace if the other buckets are full too. By default one new
// source in 200 needs it before the table is full.
func (t *table) shift(a, b uint64) int {
	for _, b := range [...]uint64{a, b} {
		for i := range bucketSize {
			from := int(b)*bucketSize + i
			other, second := t.buckets(t.records[from].Key.Mix(t.seed))
			if other == b {
				other = second
			}
			n := t.load(other)
			if n == bucketSize {
				continue
			}
			to := int(other)*bucketSize + n
			t.records[to], t.ages[to] = t.records[from], t.ages[from]
			t.tags[other].set(n, t.tags[b].at(i))
			t.tags[b].set(i, 0)
			return from
		}
	}
	return noPlace
}

// grow doubles the buckets: sources move whose hash has the next bit set. By default the
// last doubling takes 14 to 20 ms, mostly for 14 MB never touched before; it happens
// once.
func (t *table) grow() {
	n, next := t.inUse(), t.mask+1
	for b := range n {
		var stay, gone tags
		stays, goes := 0, 0
		for i := range t.load(b) {
			from := int(b)*bucketSize + i
			tag, h := t.tags[b].at(i), t.records[from].Key.Mix(t.seed)
			half := h & math.MaxUint32
			if t.bucket(half) != b {
				half = h >> 32
			}
			to := int(b)*bucketSize + stays
			if half&next == 0 {
				stay.set(stays, tag)
				stays++
			} else {
				to = int(b+n)*bucketSize + goes
				gone.set(goes, tag)
				goes++
			}
			if to != from {
				t.records[to], t.ages[to] = t.records[from], t.ages[from]
			}
		}
		t.tags[b], t.tags[b+n] = stay, gone
	}
	t.mask |= next
}

// all returns every record, in no order.
func (t *table) all() iter.Seq[*source] {
	return func(yield func(*source) bool) {
		for b := range t.inUse() {
			for i := range t.load(b) {
				if !yield(&t.records[int(b)*bucketSize+i]) {
					return
				}
			}
		}
	}
}

// latest returns the n sources seen last, the latest first. It reads every record and
// sorts those that may be among the n: 262,144 take 2 ms for the last 20, and 40 to 100
// ms for all.
func (t *table) latest(n int) []*source {
	n = max(n, 0)
	type sight struct {
		last int64
		s    *source
	}
	sights := make([]sight, 0, min(2*n, t.used))
	after := int64(math.MinInt64)
	cut := func() {
		slices.SortFunc(sights, func(a, b sight) int { return cmp.Compare(b.last, a.last) })
		sights = sights[:min(n, len(sights))]
	}
	for s := range t.all() {
		if s.last <= after {
			continue
		}
		if sights = append(sights, sight{s.last, s}); len(sights) == 2*n {
			cut()
			after = sights[n-1].last
		}
	}
	cut()
	out := make([]*source, len(sights))
	for i, x := range sights {
		out[i] = x.s
	}
	return out
}
