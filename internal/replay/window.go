// SPDX-License-Identifier: MIT

package replay

import (
	"context"
	"io"

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

// each calls do for every packet of s, in their order.
func (r *run) each(ctx context.Context, s Source, do func(*glimpse)) error {
	f, err := s.Open()
	if err != nil {
		return whole(s.Name, err)
	}
	defer f.Close()
	from, err := newReader(s.Name, f)
	if err != nil {
		return err
	}
	w := &r.window
	w.n, w.used = 0, 0
	for {
		if from.packets%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		g := &w.all[w.n]
		if err := from.read(&g.record); err != nil {
			r.flush(do)
			if err == io.EOF {
				return nil
			}
			return err
		}
		if len(g.data) > copied {
			long := g.record // its bytes are the reader's until the next read
			r.flush(do)
			w.all[0].record, w.n = long, 1
			r.flush(do)
			continue
		}
		n := copy(w.data[w.used:], g.data)
		g.data = w.data[w.used : w.used+n : w.used+n]
		w.used += n
		if w.n++; w.n == ahead {
			r.flush(do)
		}
	}
}

// flush decodes what the window holds, fetches the flows and calls do.
func (r *run) flush(do func(*glimpse)) {
	w := &r.window
	var places [ahead]uint32
	for i := range w.all[:w.n] {
		g := &w.all[i]
		g.frame = unwrap(&g.record)
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
