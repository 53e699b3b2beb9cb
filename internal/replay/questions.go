// SPDX-License-Identifier: MIT

package replay

import (
	"net/netip"

	"picket/internal/packet"
	"picket/internal/probe"
)

// questions remember the addresses and ports that the watched hosts asked, like the rules'
// sets of that name: a packet from there after the end of its flow is a late answer. They
// hold MaxLearned, and are emptied when they are full.
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

// note books a packet of a watched host that begins something.
func (q *questions) note(p *packet.Packet, at int64) {
	if p.Has&packet.HasPorts == 0 || p.Protocol == probe.ProtocolTCP && p.Flags&handshake != probe.FlagSYN {
		return
	}
	if len(q.at) >= MaxLearned {
		clear(q.at)
	}
	q.at[port{p.Destination, p.Protocol, p.Port}] = at
}

// answers reports whether p, of no known flow, is a late answer.
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

// allow takes the time of one segment off the source's savings.
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
