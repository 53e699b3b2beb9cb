// SPDX-License-Identifier: MIT

package engine

import "math/bits"

// none is the index of no record.
const none = ^uint32(0)

// A table finds the record of a source and forgets, when it is full, the
// source that was least recently seen.
//
// Records lie one after the other in the order in which they were first used,
// so few sources stay in few cache lines. The index that leads to them and the
// order of last use are arrays of their own, small enough to stay in a cache
// when the records are not: moving a source to the front of the order touches
// eight bytes of each neighbour and not their records.
type table struct {
	records []source
	order   []link   // by record: its neighbours in the order of last use
	newest  uint32   // record seen last, none if empty
	oldest  uint32   // record not seen for the longest time
	used    uint32   // records in use: those below it
	index   []uint32 // open addressing, linear probing: tag | record+1, 0 is empty
	hashes  []uint32 // by record: the low half of its key's hash, so that remove need not look at records
	seed    uint64   // so that nobody can choose sources that collide
	evicted uint64
	ahead   [expectMost]uint32 // see expect
	warmth  uint64             // keeps the compiler from leaving its loads out
}

type link struct{ newer, older uint32 }

const (
	recordBits = 21 // an index entry's part for record+1: up to 1<<20
	recordMask = 1<<recordBits - 1
)

func newTable(size int, seed uint64) *table {
	slots := 1 << bits.Len(uint(2*size-1)) // at most half full
	return &table{
		records: make([]source, size),
		order:   make([]link, size),
		newest:  none,
		oldest:  none,
		index:   make([]uint32, slots),
		hashes:  make([]uint32, size),
		seed:    seed,
	}
}

// clear forgets everything.
func (t *table) clear() {
	clear(t.index)
	t.newest, t.oldest, t.used = none, none, 0
}

// hash mixes a key with the table's seed (the folded multiplication of wyhash).
func (t *table) hash(k key) uint64 {
	hi, lo := bits.Mul64(k.hi^t.seed^0xa0761d6478bd642f, k.lo^bits.RotateLeft64(t.seed, 32)^0xe7037ed1a0b428db)
	hi, lo = bits.Mul64(hi^lo, 0x8ebc6af09c88c6e3)
	return hi ^ lo
}

func tagOf(h uint64) uint32 { return uint32(h>>32) &^ recordMask }

// find returns the number of k's record, or none, and makes it the newest.
func (t *table) find(k key) uint32 {
	r := t.lookup(k)
	if r != none && r != t.newest {
		t.unlink(r)
		t.pushFront(r)
	}
	return r
}

// lookup is find without changing the order.
func (t *table) lookup(k key) uint32 {
	h := t.hash(k)
	tag, mask := tagOf(h), uint64(len(t.index)-1)
	for i := h & mask; ; i = (i + 1) & mask {
		e := t.index[i]
		if e == 0 {
			return none
		}
		if e&^recordMask == tag {
			if r := e&recordMask - 1; t.records[r].key == k {
				return r
			}
		}
	}
}

// peek returns the record of k, or nil, without changing the order.
func (t *table) peek(k key) *source {
	if r := t.lookup(k); r != none {
		return &t.records[r]
	}
	return nil
}

// expectMost is how many records are expected at once: what they bring into
// the nearest cache fits into half of it.
const expectMost = 32

// expect loads what find will touch for each of keys, at most expectMost. The
// loads do not depend on each other, so the processor waits for all of them at
// once rather than for one after the other.
func (t *table) expect(keys []key) {
	keys = keys[:min(len(keys), expectMost)]
	mask := uint64(len(t.index) - 1)
	for i, k := range keys {
		h := t.hash(k)
		e := t.index[h&mask]
		if tagOf(h) != e&^recordMask {
			e = t.index[(h+1)&mask] // displaced by one: the commonest of the rest
		}
		t.ahead[i] = e & recordMask
	}
	var sum uint64
	for i := range keys {
		r := t.ahead[i] - 1
		if r == none {
			continue
		}
		s, l := &t.records[r], t.order[r]
		sum += s.lo + s.port[0] + s.protocols + uint64(l.newer)
	}
	for i := range keys {
		r := t.ahead[i] - 1
		if r == none {
			continue
		}
		if l := t.order[r]; l.newer != none && l.older != none {
			sum += uint64(t.order[l.newer].newer) + uint64(t.order[l.older].older)
		}
	}
	t.warmth = sum
}

// full reports whether the next add forgets a source: that of the record oldest.
func (t *table) full() bool { return int(t.used) == len(t.records) }

// add makes a record for k, which must have none, forgetting the oldest source
// if all are in use. The record is zero but for its key.
func (t *table) add(k key) uint32 {
	var r uint32
	if !t.full() {
		r = t.used
		t.used++
	} else {
		r = t.oldest
		t.unlink(r)
		t.remove(r)
		t.evicted++
	}
	t.records[r] = source{key: k}
	t.pushFront(r)
	h := t.hash(k)
	t.hashes[r] = uint32(h)
	mask := uint64(len(t.index) - 1)
	i := h & mask
	for t.index[i] != 0 {
		i = (i + 1) & mask
	}
	t.index[i] = tagOf(h) | (r + 1)
	return r
}

// remove takes a record out of the index, closing the gap (Knuth, volume 3, 6.4, algorithm R).
func (t *table) remove(r uint32) {
	mask := uint32(len(t.index) - 1)
	i := t.hashes[r] & mask
	for t.index[i]&recordMask != r+1 {
		i = (i + 1) & mask
	}
	for j := i; ; {
		j = (j + 1) & mask
		e := t.index[j]
		if e == 0 {
			break
		}
		home := t.hashes[e&recordMask-1] & mask
		if (j-home)&mask >= (j-i)&mask {
			t.index[i] = e
			i = j
		}
	}
	t.index[i] = 0
}

func (t *table) unlink(r uint32) {
	l := t.order[r]
	if l.newer == none {
		t.newest = l.older
	} else {
		t.order[l.newer].older = l.older
	}
	if l.older == none {
		t.oldest = l.newer
	} else {
		t.order[l.older].newer = l.newer
	}
}

func (t *table) pushFront(r uint32) {
	t.order[r] = link{newer: none, older: t.newest}
	if t.newest == none {
		t.oldest = r
	} else {
		t.order[t.newest].newer = r
	}
	t.newest = r
}
