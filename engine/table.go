// SPDX-License-Identifier: MIT

package engine

import "math/bits"

// none is the index of no record.
const none = ^uint32(0)

// A table finds the record of a source and forgets, when it is full, the
// source that was least recently seen.
//
// Records hold no pointer, so the collector does not look at them. The order
// of last use is a list in an array of its own: moving a source to the front
// of it touches eight bytes of each neighbour and not their records.
type table struct {
	records []source
	order   []link   // by record: its neighbours in the order of last use
	newest  uint32   // record seen last, none if empty
	oldest  uint32   // record not seen for the longest time
	used    uint32   // records in use: those below it
	index   []uint32 // open addressing, linear probing: tag | record+1, 0 is empty
	seed    uint64   // so that nobody can choose sources that collide
	evicted uint64
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
		seed:    seed,
	}
}

// hash mixes a key with the table's seed (the folded multiplication of wyhash).
func (t *table) hash(k key) uint64 {
	hi, lo := bits.Mul64(k.hi^t.seed^0xa0761d6478bd642f, k.lo^bits.RotateLeft64(t.seed, 32)^0xe7037ed1a0b428db)
	hi, lo = bits.Mul64(hi^lo, 0x8ebc6af09c88c6e3)
	return hi ^ lo
}

func (t *table) tag(h uint64) uint32 { return uint32(h>>32) &^ recordMask }

// find returns the record of k, or nil, and makes it the newest.
func (t *table) find(k key) *source {
	r := t.lookup(k)
	if r == none {
		return nil
	}
	t.touch(r)
	return &t.records[r]
}

// peek is find without changing the order.
func (t *table) peek(k key) *source {
	r := t.lookup(k)
	if r == none {
		return nil
	}
	return &t.records[r]
}

func (t *table) lookup(k key) uint32 {
	h := t.hash(k)
	tag, mask := t.tag(h), uint64(len(t.index)-1)
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

// add makes a record for k, which must have none, forgetting the oldest source
// if all are in use. The record is zero but for its key.
func (t *table) add(k key) *source {
	var r uint32
	if int(t.used) < len(t.records) {
		r = t.used
		t.used++
	} else {
		r = t.oldest
		t.unlink(r)
		t.remove(t.records[r].key)
		t.evicted++
	}
	t.records[r] = source{key: k}
	t.pushFront(r)
	h := t.hash(k)
	mask := uint64(len(t.index) - 1)
	i := h & mask
	for t.index[i] != 0 {
		i = (i + 1) & mask
	}
	t.index[i] = t.tag(h) | (r + 1)
	return &t.records[r]
}

// remove takes k out of the index, closing the gap (Knuth, volume 3, 6.4, algorithm R).
func (t *table) remove(k key) {
	h := t.hash(k)
	mask := uint64(len(t.index) - 1)
	i := h & mask
	for {
		e := t.index[i]
		if e == 0 {
			return
		}
		if e&^recordMask == t.tag(h) && t.records[e&recordMask-1].key == k {
			break
		}
		i = (i + 1) & mask
	}
	for j := i; ; {
		j = (j + 1) & mask
		e := t.index[j]
		if e == 0 {
			break
		}
		home := t.hash(t.records[e&recordMask-1].key) & mask
		if (j-home)&mask >= (j-i)&mask {
			t.index[i] = e
			i = j
		}
	}
	t.index[i] = 0
}

func (t *table) touch(r uint32) {
	if r != t.newest {
		t.unlink(r)
		t.pushFront(r)
	}
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
