// SPDX-License-Identifier: MIT

package replay

import (
	"context"

	"picket/internal/packet"
)

const (
	// ahead is how many packets are looked at before the first of them is
	// judged: their flows are then fetched from memory all at once instead of
	// one by one. What the window holds stays in the nearest caches.
	ahead = 16
	// copied is the longest packet that is kept in the window; a longer one is
	// judged by itself.
	copied = 2048
)

// A glimpse is a packet that was decoded and not yet judged.
type glimpse struct {
	record
	file   string
	number uint64
	frame  frame
	packet packet.Packet
	reason packet.Reason
	flow   flowID
}

// A window holds the packets that are looked at together.
type window struct {
	all    [ahead]glimpse
	data   [ahead * copied]byte
	n      int
	used   int    // bytes of data
	warmth uint32 // keeps the compiler from leaving loads out
}

// each calls do for every packet of tapes, by time, and fault for every tape that cannot
// be read, or not to its end.
func (r *run) each(ctx context.Context, tapes []tape, do func(*glimpse), fault func(error)) {
	m := newMerge(tapes, fault)
	defer m.close()
	w := &r.window
	w.n, w.used = 0, 0
	for n := 0; ; n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return
		}
		t := m.next()
		if t == nil {
			r.flush(do)
			return
		}
		if len(t.head.data) > copied {
			r.flush(do)
			w.add(t)
			r.flush(do)
			continue
		}
		g := w.add(t)
		size := copy(w.data[w.used:], g.data)
		g.data = w.data[w.used : w.used+size : w.used+size]
		w.used += size
		if w.n == ahead {
			r.flush(do)
		}
	}
}

// add puts the next packet of t into the window; its bytes are the reader's.
func (w *window) add(t *tape) *glimpse {
	g := &w.all[w.n]
	w.n++
	g.record, g.file, g.number = t.head, t.Name, t.reader.packets
	return g
}

// flush decodes what the window holds, fetches the flows and calls do.
func (r *run) flush(do func(*glimpse)) {
	w := &r.window
	var places [ahead]uint32
	for i := range w.all[:w.n] {
		g := &w.all[i]
		g.frame.unwrap(&g.record)
		if g.frame.ip == nil {
			continue
		}
		if g.reason = packet.Decode(g.frame.ip, &g.packet); g.reason == packet.OK {
			g.flow.of(&g.packet)
			places[i] = g.flow.place
		}
	}
	w.warmth += r.flows.expect(places[:w.n])
	for i := range w.all[:w.n] {
		do(&w.all[i])
	}
	w.n, w.used = 0, 0
}
