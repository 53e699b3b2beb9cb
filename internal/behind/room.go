// SPDX-License-Identifier: MIT

package behind

import (
	"time"

	"picket/internal/probe"
)

// Patience is how long a probe waits for its answer: half as long again as Linux's
// shortest wait before it repeats a segment (TCP_RTO_MIN of include/net/tcp.h, 0.2 s).
const Patience = 300 * time.Millisecond

// A Room holds waiting probes. All wait for the same time, so the first one to come is the
// first one to leave. The zero Room has no places; make one with [NewRoom].
type Room struct {
	snap  int
	seats []seat
	raw   []byte
	first int
	taken int
}

type seat struct {
	probe probe.Probe
	size  int
	due   time.Time
}

// NewRoom returns a room with a number of places, for packets of at most snap bytes. A place
// takes snap and some 120 bytes more.
func NewRoom(places, snap int) *Room {
	return &Room{snap: snap, seats: make([]seat, places), raw: make([]byte, places*snap)}
}

// Full reports whether all places are taken.
func (r *Room) Full() bool { return r.taken == len(r.seats) }

// Add copies a probe and the first bytes of its packet into the room. There must be a
// free place.
func (r *Room) Add(p *probe.Probe, raw []byte, now time.Time) {
	at := (r.first + r.taken) % len(r.seats)
	r.taken++
	r.seats[at] = seat{probe: *p, size: copy(r.raw[at*r.snap:][:r.snap], raw), due: now.Add(Patience)}
}

// Next returns when the probe that waits longest has waited long enough. Ok is false if none
// waits.
func (r *Room) Next() (due time.Time, ok bool) {
	if r.taken == 0 {
		return time.Time{}, false
	}
	return r.seats[r.first].due, true
}

// Leave removes the probe that waits longest and returns it with its bytes, valid until
// the next Add. One must wait.
func (r *Room) Leave() (p *probe.Probe, raw []byte) {
	s := &r.seats[r.first]
	raw = r.raw[r.first*r.snap:][:s.size]
	r.first = (r.first + 1) % len(r.seats)
	r.taken--
	return &s.probe, raw
}
