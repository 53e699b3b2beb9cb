// SPDX-License-Identifier: MIT

package replay

import (
	"net/netip"

	"picket/internal/packet"
	"picket/internal/probe"
)

// MaxLearned is the most ports that answered, and the most connections begun before the
// capture, that the first pass remembers: a capture full of forged answers cannot grow
// it. Packets to the others are taken for probes.
const MaxLearned = 1 << 16

// A port of one host.
type port struct {
	address  netip.Addr
	protocol uint8
	number   uint16
}

// learned is what the first pass hands to the second.
type learned struct {
	open map[port]struct{}    // ports that answered
	some [1 << 10]uint64      // a bit for each number of those
	live map[flowKey]struct{} // connections that began before the capture did
	full bool                 // one of them met MaxLearned
}

func newLearned() *learned {
	return &learned{open: map[port]struct{}{}, live: map[flowKey]struct{}{}}
}

// openPort notes that p came from a port that serves somebody.
func (l *learned) openPort(p *packet.Packet) {
	if len(l.open) >= MaxLearned {
		l.full = true
		return
	}
	l.open[port{p.Source, p.Protocol, p.SourcePort}] = struct{}{}
	l.some[p.SourcePort/64] |= 1 << (p.SourcePort % 64)
}

// answered reports whether the port that p is aimed at answered.
func (l *learned) answered(p *packet.Packet) bool {
	if l.some[p.Port/64]>>(p.Port%64)&1 == 0 {
		return false // most are not worth the look into the map
	}
	_, ok := l.open[port{p.Destination, p.Protocol, p.Port}]
	return ok
}

func (l *learned) liveFlow(k *flowKey) {
	if len(l.live) >= MaxLearned {
		l.full = true
		return
	}
	l.live[*k] = struct{}{}
}

// track folds p into the table and returns its relation to the packets before it. The
// first pass (learn not nil) notes open ports and living connections; the second consults
// them.
func (t *flows) track(p *packet.Packet, id *flowID, at int64, learn, known *learned) relation {
	if p.ICMPError() {
		if t.aboutKnown(p, at) {
			return related
		}
		return fresh
	}
	if !id.ok {
		return fresh
	}
	k := &id.key
	t.tick = (t.tick + 2) & (1<<31 - 1) // even: touch sets the lowest bit, as 0 is free
	f, name, found := t.find(k, id.place)
	if id.swapped {
		name |= flowSwapped
	}
	if !found || f.expired(p.Protocol, at) {
		return t.begin(f, name, k, p, at, known)
	}
	if now := seconds(at); int32(now-f.last) > 0 {
		f.last = now
	}
	first := f.state&flowSwapped == name&flowSwapped
	if p.Protocol == probe.ProtocolTCP {
		// A SYN on a flow that is over begins a new one, from either side.
		over := f.is(flowClosed) || !first && !f.is(flowReplied) && f.is(flowMidway)
		if over && p.Flags&(probe.FlagSYN|probe.FlagACK|probe.FlagRST) == probe.FlagSYN {
			return t.begin(f, name, k, p, at, known)
		}
		f.ended(p.Flags, first)
	}
	what := answer
	switch {
	case first && f.completes(p):
		what = joined
		f.state &^= flowAsked | flowOffered
	case first && f.is(flowReplied):
		what = established
	case first:
		what = fresh
	case !refusal(p):
		f.state |= flowReplied
		if f.is(flowAsked) && p.Flags&handshake == probe.FlagSYN|probe.FlagACK {
			f.state = f.state&^flowCheck | flowOffered | folded(p.Seq+1)
		}
		if learn != nil {
			learn.reply(f, k, p)
		}
	}
	t.touch(f)
	return what
}

// handshake are the flags that tell the packets of a handshake apart, as the
// chain trap of package nft does.
const handshake = probe.FlagFIN | probe.FlagSYN | probe.FlagRST | probe.FlagACK

// completes reports whether p, from the end that began, is the third packet of the
// handshake, also one with data or FIN.
func (f *flow) completes(p *packet.Packet) bool {
	return f.is(flowOffered) && p.Flags&(probe.FlagSYN|probe.FlagRST|probe.FlagACK) == probe.FlagACK &&
		f.state&flowCheck == folded(p.Ack)
}

// begin makes p the first packet of the flow at f, unless nothing can come of it.
func (t *flows) begin(f *flow, state uint64, k *flowKey, p *packet.Packet, at int64,
	known *learned) relation {
	what := fresh
	switch p.Protocol {
	case probe.ProtocolTCP:
		if p.Flags&probe.FlagRST != 0 {
			return fresh
		}
		if p.Flags&probe.FlagSYN == 0 || p.Flags&probe.FlagACK != 0 {
			state |= flowMidway
		} else if p.Flags&handshake == probe.FlagSYN {
			state |= flowAsked
			what = asked
		}
		if known != nil && state&flowMidway != 0 && p.Flags&probe.FlagACK != 0 {
			if _, live := known.live[*k]; live {
				state |= flowReplied
				what = established
			}
		}
	case probe.ProtocolICMP, probe.ProtocolICMPv6:
		if !request(p) {
			return fresh
		}
	}
	f.state, f.last = state, seconds(at)
	t.touch(f)
	return what
}

// ended notes RST and FIN. A RST as the only answer leaves the flow unanswered: the
// kernel then forgets it (nf_conntrack_tcp_packet).
func (f *flow) ended(flags uint8, first bool) {
	if flags&probe.FlagRST != 0 && (f.is(flowReplied) || !first) {
		f.state |= flowClosed
	}
	if flags&probe.FlagFIN == 0 {
		return
	}
	if first {
		f.state |= flowFinFirst
	} else {
		f.state |= flowFinOther
	}
	if f.is(flowFinFirst) && f.is(flowFinOther) {
		f.state |= flowClosed
	}
}

// refusal reports whether p, an answer, says that nobody is there.
func refusal(p *packet.Packet) bool {
	switch p.Protocol {
	case probe.ProtocolTCP:
		return p.Flags&probe.FlagRST != 0
	case probe.ProtocolSCTP:
		return p.Chunk == 6 // ABORT (RFC 9260, 3.3.7)
	}
	return false
}

// request reports whether an ICMP message with an identifier asks for something.
func request(p *packet.Packet) bool {
	if p.V6() {
		return p.Type == 128
	}
	switch p.Type {
	case 8, 13, 15, 17:
		return true
	}
	return false
}

// reply learns from p, which answers f and is no refusal.
func (l *learned) reply(f *flow, k *flowKey, p *packet.Packet) {
	switch p.Protocol {
	case probe.ProtocolTCP:
		switch {
		case p.Flags&(probe.FlagSYN|probe.FlagACK) == probe.FlagSYN|probe.FlagACK:
			l.openPort(p)
		case f.is(flowMidway) && p.Flags&probe.FlagACK != 0:
			l.liveFlow(k)
		}
	case probe.ProtocolUDP:
		l.openPort(p)
	case probe.ProtocolSCTP:
		if p.Chunk == 2 { // INIT ACK
			l.openPort(p)
		}
	}
}
