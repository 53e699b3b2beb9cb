// SPDX-License-Identifier: MIT

package daemon

import "picket/internal/probe"

// A mirrored is a probe on its way from the reader to the judge.
type mirrored struct {
	probe probe.Probe
	bytes packetBytes
}

// A packetBytes says where in the transit the bytes of a packet are.
type packetBytes struct {
	slot uint32
	size uint32
}

// A transit holds the bytes of the packets whose probes are in the channel, so
// that none is allocated. It has as many slots as there can be probes between
// reader and judge, and some: a slot is written to again when the judge
// has taken as many probes from the channel as make it sure that it is done
// with that one.
type transit struct {
	snap  int
	slots uint32
	next  uint32 // for the reader
	raw   []byte
}

// transitSlots: those in the channel, those in a batch of the judge's, and
// the one that is being written.
const transitSlots = probeQueue + 2*len(judge{}.waiting)

func newTransit(snap int) transit {
	return transit{snap: snap, slots: uint32(transitSlots), raw: make([]byte, transitSlots*snap)}
}

// put writes the bytes of a packet into the next slot.
func (t *transit) put(raw []byte) packetBytes {
	if t.slots == 0 {
		return packetBytes{}
	}
	return packetBytes{t.next, uint32(copy(t.raw[int(t.next)*t.snap:][:t.snap], raw))}
}

// sent goes on to the next slot.
func (t *transit) sent() {
	if t.next++; t.next >= t.slots {
		t.next = 0
	}
}

// get returns the bytes of a packet, which are there until the judge takes
// further probes from the channel.
func (t *transit) get(b packetBytes) []byte {
	if b.size == 0 {
		return nil
	}
	return t.raw[int(b.slot)*t.snap:][:b.size]
}
