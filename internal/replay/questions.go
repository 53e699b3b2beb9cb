// SPDX-License-Identifier: MIT

package replay

import (
	"net/netip"

	"picket/internal/packet"
	"picket/internal/probe"
)

// questions remember whom the watched hosts asked, and at which port, as the rules'
// sets of that name do: what comes from there later is a late answer, although
// its flow is over. They hold MaxLearned, and are emptied when they are full.
type questions struct {
	at   map[port]int64       // when last, nanoseconds since the Unix epoch
	late map[netip.Addr]int64 // until when the segments of a source that came late count; see allow
}

const (
	askedTime = int64(600e9) // nft.CountTime
	// Segments may be late twenty at once and one a second; datagrams at will.
	lateEach  = int64(1e9)
	lateBurst = 20 * lateEach
)

func newQuestions() *questions {
	return &questions{at: map[port]int64{}, late: map[netip.Addr]int64{}}
}

// note books what a watched host sends that begins something.
func (q *questions) note(p *packet.Packet, at int64) {
	if p.Has&packet.HasPorts == 0 || p.Protocol == probe.ProtocolTCP && p.Flags&handshake != probe.FlagSYN {
		return
	}
	if len(q.at) >= MaxLearned {
		clear(q.at)
	}
	q.at[port{p.Destination, p.Protocol, p.Port}] = at
}

// answers reports whether p, which begins nothing that is known, is a late answer.
func (q *questions) answers(p *packet.Packet, at int64) bool {
	if p.Has&packet.HasPorts == 0 {
		return false
	}
	when, ok := q.at[port{p.Source, p.Protocol, p.SourcePort}]
	if !ok || at-when > askedTime {
		return false
	}
	return p.Protocol != probe.ProtocolTCP || q.allow(p.Source, at)
}

// allow takes one segment's time off what a source has saved up.
func (q *questions) allow(source netip.Addr, at int64) bool {
	if len(q.late) >= MaxLearned {
		clear(q.late)
	}
	used := max(q.late[source], at)
	if used+lateEach > at+lateBurst {
		return false
	}
	q.late[source] = used + lateEach
	return true
}
