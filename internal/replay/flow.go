// SPDX-License-Identifier: MIT

package replay

import (
	"encoding/binary"
	"math/bits"
	"net/netip"

	"picket/engine"
	"picket/internal/packet"
)

// MaxFlows is how many flows are remembered at once, in 64 bytes each. In a
// full table a flow makes room that was never answered, the one longest unseen
// of eight; only without such one a flow that was. So a flood of forged
// sources does not push out the connections beside it, as the kernel's
// early_drop does not (net/netfilter/nf_conntrack_core.c).
const MaxFlows = 1 << 18

// ways is how many places a flow can be at.
const ways = 8

// A relation is what a packet is to those before it, as conntrack's states are.
type relation uint8

const (
	fresh       relation = iota // nothing of its flow is known, or nobody answered
	answer                      // the other side began
	established                 // the other side answered before
	related                     // an ICMP error about a flow that is known
)

// A flowKey is a 5-tuple, its smaller end first, so that both directions are one.
type flowKey struct {
	low, high [2]uint64 // addresses; IPv4 in its mapped form
	rest      uint64    // low port, high port, protocol, IP version
}

const (
	flowSwapped  = 1 << iota // the high end began
	flowReplied              // the other end answered, with more than a refusal
	flowClosed               // reset, or finished from both ends
	flowFinFirst             // FIN seen from the end that began
	flowFinOther             // FIN seen from the other end
	flowMidway               // the first packet was no SYN: the beginning is not in the capture
)

type flow struct {
	key   flowKey
	last  int64  // time of the last packet
	tick  uint64 // number of the last packet; 0 for a free place
	flags uint32
}

// flows is a table of fixed size, eight ways set-associative. Its hash is
// fixed, so that a capture always replays alike.
type flows struct {
	places []flow
	tick   uint64
}

func newFlows() *flows { return &flows{places: make([]flow, MaxFlows)} }

// hash mixes k; the constants are those of wyhash and of the golden ratio.
func (k *flowKey) hash() uint64 {
	h := uint64(0x9e3779b97f4a7c15)
	for _, w := range [...]uint64{k.low[0], k.low[1], k.high[0], k.high[1], k.rest} {
		hi, lo := bits.Mul64(h^w, 0xa0761d6478bd642f)
		h = hi ^ lo ^ w>>32
	}
	return h
}

// find returns the flow of k, or the place where it belongs with found false.
func (t *flows) find(k *flowKey) (f *flow, found bool) {
	at := k.hash() % (MaxFlows / ways) * ways
	set := t.places[at : at+ways : at+ways]
	var victim *flow
	for i := range set {
		f := &set[i]
		if f.key == *k && f.tick != 0 {
			return f, true
		}
		if victim == nil || older(f, victim) {
			victim = f
		}
	}
	return victim, false
}

// older reports whether a goes before b. A free place has tick 0 and no flags.
func older(a, b *flow) bool {
	if ra, rb := a.flags&flowReplied, b.flags&flowReplied; ra != rb {
		return ra < rb
	}
	return a.tick < b.tick
}

// expired follows the kernel's timeouts (net/netfilter/nf_conntrack_proto_*.c),
// but gives an unanswered UDP query the 120 s of an answered one: on a live
// host its socket would still take the late answer.
func (f *flow) expired(at int64) bool {
	seconds := int64(600)
	switch uint8(f.key.rest >> 8) {
	case engine.ProtocolTCP:
		seconds = 120
		if f.flags&(flowReplied|flowClosed) == flowReplied {
			seconds = 5 * 24 * 3600
		}
	case engine.ProtocolUDP:
		seconds = 120
	case engine.ProtocolSCTP:
		seconds = 210
	case engine.ProtocolICMP, engine.ProtocolICMPv6:
		seconds = 30
	}
	return at-f.last > seconds*1e9
}

// makeKey builds the key of a packet from source to dest, and tells whether
// source became the high end.
func makeKey(k *flowKey, source, dest netip.Addr, sport, port uint16, protocol uint8) (swapped bool) {
	a, b := halves(source), halves(dest)
	version := uint64(4)
	if source.Is6() {
		version = 6
	}
	swapped = b[0] < a[0] || b[0] == a[0] && (b[1] < a[1] || b[1] == a[1] && port < sport)
	if swapped {
		a, b, sport, port = b, a, port, sport
	}
	k.low, k.high = a, b
	k.rest = uint64(sport)<<48 | uint64(port)<<32 | uint64(protocol)<<8 | version
	return swapped
}

func halves(a netip.Addr) [2]uint64 {
	b := a.As16()
	return [2]uint64{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// flowOf finds key and direction of p's flow. ok is false for packets that
// belong to none: ICMP that is neither query nor reply, and packets without ports.
func flowOf(p *packet.Packet, k *flowKey) (swapped, ok bool) {
	switch p.Protocol {
	case engine.ProtocolTCP, engine.ProtocolUDP, engine.ProtocolSCTP:
		if p.Has&packet.HasPorts == 0 {
			return false, false
		}
		return makeKey(k, p.Source, p.Destination, p.SourcePort, p.Port, p.Protocol), true
	case engine.ProtocolICMP, engine.ProtocolICMPv6:
		if p.Has&packet.HasIdentifier == 0 {
			return false, false
		}
		return makeKey(k, p.Source, p.Destination, p.Identifier, p.Identifier, p.Protocol), true
	}
	return makeKey(k, p.Source, p.Destination, 0, 0, p.Protocol), true
}

// aboutKnown reports whether the flow that an ICMP error quotes was seen.
func (t *flows) aboutKnown(p *packet.Packet, at int64) bool {
	if p.Has&packet.HasEmbedded == 0 {
		return false
	}
	e := &p.Embedded
	var sport, port uint16
	switch e.Protocol {
	case engine.ProtocolTCP, engine.ProtocolUDP, engine.ProtocolSCTP:
		sport, port = e.SourcePort, e.Port
	case engine.ProtocolICMP, engine.ProtocolICMPv6:
		sport, port = e.SourcePort, e.SourcePort
	}
	var k flowKey
	makeKey(&k, e.Source, e.Destination, sport, port, e.Protocol)
	f, found := t.find(&k)
	return found && !f.expired(at)
}
