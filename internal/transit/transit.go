// SPDX-License-Identifier: MIT

// Package transit holds the bytes of packets on their way from one goroutine to another,
// in slots that are used again and again, without allocation.
//
// It has no lock: the channel that carries the places orders reads after writes. A place
// is good until as many more packets are put as there are slots.
package transit

// A Place says where in a transit the bytes of a packet are. The zero Place has none.
type Place struct {
	slot uint32
	size uint32
}

// A Transit needs as many slots as packets can be between sender and receiver. The zero
// value has none, and gives zero places. Put and Sent are for the sender, Get is for the
// receiver.
type Transit struct {
	snap  int
	slots uint32
	next  uint32
	raw   []byte
}

// New returns a transit of so many slots, of snap bytes each.
func New(slots, snap int) Transit {
	return Transit{snap: snap, slots: uint32(slots), raw: make([]byte, slots*snap)}
}

// Put writes the first bytes of a packet into the next slot.
func (t *Transit) Put(raw []byte) Place {
	if t.slots == 0 {
		return Place{}
	}
	return Place{t.next, uint32(copy(t.raw[int(t.next)*t.snap:][:t.snap], raw))}
}

// Sent goes on to the next slot.
func (t *Transit) Sent() {
	if t.next++; t.next >= t.slots {
		t.next = 0
	}
}

// Get returns the bytes of a packet, valid until the slot is used again.
func (t *Transit) Get(b Place) []byte {
	if b.size == 0 {
		return nil
	}
	return t.raw[int(b.slot)*t.snap:][:b.size]
}
