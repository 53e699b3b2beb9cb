// SPDX-License-Identifier: MIT

package evidence

import (
	"net/netip"

	"picket/internal/probe"
)

// bucket returns the bucket of a key. Because of the seed no sender can choose it.
func (s *Store) bucket(k key) *int32 {
	h := probe.Key{Hi: k.hi, Lo: k.lo}.Mix(s.seed + uint64(k.bits))
	return &s.buckets[h&uint64(len(s.buckets)-1)]
}

// expected is how many probes Expect prepares for.
const expected = 32

// Expect prepares for Add of the first 32 probes, whose sources are by of: it fetches what
// Add will read from memory all at once instead of one by one. It changes only how long Add
// takes.
func (s *Store) Expect(probes []probe.Probe, of func(netip.Addr) netip.Prefix) {
	if len(s.records) == 0 {
		return
	}
	var heads [2 * expected]int32
	n := 0
	oldest := s.classes[single].last // these give up their records in a flood
	for i := range probes[:min(len(probes), expected)] {
		heads[n] = *s.bucket(keyOf(of(probes[i].Source)))
		n++
		if oldest != none && s.used == len(s.records) {
			heads[n] = *s.bucket(s.entries[oldest].key)
			n++
			oldest = s.entries[oldest].prev
		}
	}
	for _, e := range heads[:n] {
		if e != none {
			s.fetched += s.entries[e].chain
		}
	}
}

func (s *Store) find(bucket *int32, k key) int32 {
	e := *bucket
	for e != none && s.entries[e].key != k {
		e = s.entries[e].chain
	}
	return e
}

// enter makes an entry. There is room: every entry has a record, and the caller holds one
// more.
func (s *Store) enter(bucket *int32, k key) int32 {
	e := s.unused
	if e != none {
		s.unused = s.entries[e].next
	} else {
		e = int32(s.known) // the first ones are all known
	}
	s.entries[e] = entry{key: k, total: 1, newest: none, oldest: none, chain: *bucket, class: single}
	*bucket = e
	s.known++
	s.link(e)
	return e
}

// drop takes an entry without records out of the store.
func (s *Store) drop(e int32) {
	place := s.bucket(s.entries[e].key)
	for *place != e {
		place = &s.entries[*place].chain
	}
	*place = s.entries[e].chain
	s.unlink(e)
	s.entries[e].next = s.unused
	s.unused = e
	s.known--
}

// link puts an entry in front of its class.
func (s *Store) link(e int32) {
	x := &s.entries[e]
	c := &s.classes[x.class]
	x.prev, x.next = none, c.first
	if c.first != none {
		s.entries[c.first].prev = e
	} else {
		c.last = e
	}
	c.first = e
	c.records += int(x.count)
}

func (s *Store) unlink(e int32) {
	x := &s.entries[e]
	c := &s.classes[x.class]
	if x.prev != none {
		s.entries[x.prev].next = x.next
	} else {
		c.first = x.next
	}
	if x.next != none {
		s.entries[x.next].prev = x.prev
	} else {
		c.last = x.prev
	}
	c.records -= int(x.count)
}

// touch makes an entry the most recently seen of its class.
func (s *Store) touch(e int32) { s.move(e, s.entries[e].class) }

// move puts an entry in front of a class.
func (s *Store) move(e int32, to uint8) {
	if s.entries[e].class == to && s.classes[to].first == e {
		return
	}
	s.unlink(e)
	s.entries[e].class = to
	s.link(e)
}

// take returns a record to write to, for e or, if that is none, for a new source.
func (s *Store) take(e int32) int32 {
	if e != none && s.entries[e].count == PerSource {
		return s.shift(e)
	}
	if s.used < len(s.records) {
		s.used++
		return int32(s.used - 1)
	}
	from := s.victim()
	r := s.shift(from)
	if from != e && s.entries[from].count == 0 {
		s.drop(from)
	}
	return r
}

// victim returns the entry to give up a record.
func (s *Store) victim() int32 {
	last := none
	for i := range s.classes {
		c := &s.classes[i]
		if c.records > c.share {
			return c.last
		}
		if last == none {
			last = c.last
		}
	}
	return last // each class has just its share
}

// shift takes the oldest record from an entry.
func (s *Store) shift(e int32) int32 {
	x := &s.entries[e]
	r := x.oldest
	x.oldest = s.records[r].next
	if x.oldest == none {
		x.newest = none
	}
	x.count--
	s.classes[x.class].records--
	return r
}

// append gives an entry a record, its newest.
func (s *Store) append(e, r int32) {
	x := &s.entries[e]
	s.records[r].next = none
	if x.newest != none {
		s.records[x.newest].next = r
	} else {
		x.oldest = r
	}
	x.newest = r
	x.count++
	s.classes[x.class].records++
}
