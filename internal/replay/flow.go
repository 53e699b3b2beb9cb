// SPDX-License-Identifier: MIT

package replay

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"net/netip"

	"picket/internal/packet"
	"picket/internal/probe"
)

// maxFlows is the most flows remembered at once, in 16 bytes each. In a full table the
// longest unseen of eight makes room: of the unanswered ones, and of all only if there
// are none. So a flood of forged sources does not push out the connections beside it, as
// the kernel's early_drop does not (net/netfilter/nf_conntrack_core.c).
const maxFlows = 1 << 18

// ways is the number of places for a flow.
const ways = 8

// A relation is that of a packet to those before it, as conntrack's states are.
type relation uint8

const (
	fresh       relation = iota // nothing of its flow is known, or nobody answered
	asked                       // the same, and it is the SYN that begins a connection
	joined                      // the ACK that completes the handshake of one
	answer                      // the other side began
	established                 // the other side answered before
	related                     // an ICMP error about a flow that is known
)

// A flowKey is a 5-tuple, its smaller end first, so that both directions are one.
type flowKey struct {
	low0, low1   uint64 // address, IPv4 in its mapped form; no array, which the compiler would keep in memory
	high0, high1 uint64
	rest         uint64 // low port, high port, protocol, IP version
}

// What is known of a flow.
const (
	flowSwapped  = 1 << iota // the high end began
	flowReplied              // the other end answered, with more than a refusal
	flowClosed               // reset, or finished from both ends
	flowFinFirst             // FIN seen from the end that began
	flowFinOther             // FIN seen from the other end
	flowMidway               // the first packet was no SYN: the beginning is not in the capture
	flowAsked                // the first packet was a SYN, and the handshake it began is not complete
	flowOffered              // and the other end answered it: the third packet is to bear the check below
	flowFlags    = 1<<8 - 1
	flowCheck    = 0xffff << 8 // of the SYN+ACK: the acknowledgement that completes the handshake, folded
	flowName     = ^uint64(flowFlags | flowCheck)
)

// folded fits an acknowledgement number into the bits that a flow has for it.
func folded(ack uint32) uint64 { return uint64(ack^ack>>16) & 0xffff << 8 }

// A flow is small, so that the eight of a set share two cache lines: a flood makes us
// look for flows that are not there.
type flow struct {
	state uint64 // the flags and the check above; the other 40 bits name the flow
	// the lowest goes first: whether replied, then the number of the last packet; 0 for a free place
	order uint32
	last  uint32 // time of the last packet, in seconds since the Unix epoch, modulo 2^32
}

func (f *flow) is(flag uint64) bool { return f.state&flag != 0 }

// flows is a table of fixed size, eight ways set-associative. A flow has the same set in
// every run, so that a capture always replays alike. The bits that name it within its set
// differ, so that nobody can write packets that are taken for somebody else's connection;
// by chance one new packet in 2^37 is, in a full set.
type flows struct {
	places []flow
	tick   uint32 // packets, modulo 2^31: after that many the order of two is wrong once
	seed   maphash.Seed
}

func newFlows() *flows {
	return &flows{places: make([]flow, maxFlows), seed: maphash.MakeSeed()}
}

// forget empties the table.
func (t *flows) forget() {
	clear(t.places)
	t.tick = 0
}

// hash mixes k. Its products do not wait for each other; the last one carries their
// differences to the upper bits (Fibonacci hashing). The constants are those of xxHash64.
func (k *flowKey) hash() uint64 {
	h := k.low0*0xc2b2ae3d27d4eb4f ^ k.low1*0x9e3779b185ebca87 ^ k.high0*0x165667b19e3779f9 ^
		k.high1*0x85ebca77c2b2ae63 ^ k.rest*0x27d4eb2f165667c5
	return (h ^ h>>32) * 0x9e3779b97f4a7c15
}

// A flowID is a packet's flow, and where in the table it belongs.
type flowID struct {
	key     flowKey
	place   uint32 // the first of the set
	swapped bool   // the source is the high end
	ok      bool   // the packet belongs to a flow
}

// of finds the flow of p.
func (id *flowID) of(p *packet.Packet) {
	if id.swapped, id.ok = flowOf(p, &id.key); id.ok {
		id.place = id.key.place()
	}
}

// expect loads what find will look at in the sets that begin at places. The loads
// do not depend on each other, so the processor waits for all of them at once.
func (t *flows) expect(places []uint32) (warmth uint32) {
	for _, i := range places {
		warmth += t.places[i].last + t.places[i+ways/2].last
	}
	return warmth
}

// place returns where k's set begins.
func (k *flowKey) place() uint32 { return uint32(k.hash()>>32) % (maxFlows / ways) * ways }

// find returns k's flow, or the place where it belongs with found false, and
// the state that a flow of k without flags has.
func (t *flows) find(k *flowKey, place uint32) (f *flow, name uint64, found bool) {
	name = maphash.Comparable(t.seed, *k) & flowName
	set := t.places[place : place+ways : place+ways]
	victim := &set[0]
	for i := range set {
		f := &set[i]
		if f.state&flowName == name && f.order != 0 {
			return f, name, true
		}
		if f.order < victim.order {
			victim = f
		}
	}
	return victim, name, false
}

// touch notes that f was seen just now.
func (t *flows) touch(f *flow) {
	f.order = t.tick | 1
	if f.is(flowReplied) {
		f.order |= 1 << 31
	}
}

// seconds is how a flow keeps time.
func seconds(at int64) uint32 { return uint32(at / 1e9) }

// expired follows the kernel's timeouts (net/netfilter/nf_conntrack_proto_*.c), but gives
// an unanswered UDP query the 120 s of an answered one: on a live host its socket would
// still take the late answer.
func (f *flow) expired(protocol uint8, at int64) bool {
	timeout := int32(600)
	switch protocol {
	case probe.ProtocolTCP:
		timeout = 120
		if f.state&(flowReplied|flowClosed) == flowReplied {
			timeout = 5 * 24 * 3600
		}
	case probe.ProtocolUDP:
		timeout = 120
	case probe.ProtocolSCTP:
		timeout = 210
	case probe.ProtocolICMP, probe.ProtocolICMPv6:
		timeout = 30
	}
	return int32(seconds(at)-f.last) > timeout // a clock that steps back ages nothing
}

// makeKey builds the key of a packet from source to dest. Swapped says that source is the
// high end.
func makeKey(k *flowKey, source, dest netip.Addr, sport, port uint16, protocol uint8) (swapped bool) {
	a0, a1 := halves(source)
	b0, b1 := halves(dest)
	version := uint64(4)
	if source.Is6() {
		version = 6
	}
	// Exchange the ends if (b, port) < (a, sport), without a branch: no processor can
	// predict the lower end.
	from, to := uint64(sport), uint64(port)
	_, less := bits.Sub64(to, from, 0)
	_, less = bits.Sub64(b1, a1, less)
	_, less = bits.Sub64(b0, a0, less)
	mask := -less
	x0, x1, x := (a0^b0)&mask, (a1^b1)&mask, (from^to)&mask
	k.low0, k.low1, k.high0, k.high1 = a0^x0, a1^x1, b0^x0, b1^x1
	k.rest = (from^x)<<48 | (to^x)<<32 | uint64(protocol)<<8 | version
	return less == 1
}

func halves(a netip.Addr) (uint64, uint64) {
	if a.Is4() { // in its mapped form
		b := a.As4()
		return 0, 0xffff<<32 | uint64(binary.BigEndian.Uint32(b[:]))
	}
	b := a.As16()
	return binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
}

// flowOf finds key and direction of p's flow. Packets without ports, and ICMP but queries
// and replies, have none: ok is false.
func flowOf(p *packet.Packet, k *flowKey) (swapped, ok bool) {
	switch {
	case probe.Ported(p.Protocol):
		if p.Has&packet.HasPorts == 0 {
			return false, false
		}
		return makeKey(k, p.Source, p.Destination, p.SourcePort, p.Port, p.Protocol), true
	case p.Protocol == probe.ProtocolICMP, p.Protocol == probe.ProtocolICMPv6:
		if p.Has&packet.HasIdentifier == 0 {
			return false, false
		}
		return makeKey(k, p.Source, p.Destination, p.Identifier, p.Identifier, p.Protocol), true
	}
	return makeKey(k, p.Source, p.Destination, 0, 0, p.Protocol), true
}

// aboutKnown reports whether an ICMP error quotes a known flow.
func (t *flows) aboutKnown(p *packet.Packet, at int64) bool {
	if p.Has&packet.HasEmbedded == 0 {
		return false
	}
	e := &p.Embedded
	var sport, port uint16
	switch {
	case probe.Ported(e.Protocol):
		sport, port = e.SourcePort, e.Port
	case e.Protocol == probe.ProtocolICMP, e.Protocol == probe.ProtocolICMPv6:
		sport, port = e.SourcePort, e.SourcePort
	}
	var k flowKey
	makeKey(&k, e.Source, e.Destination, sport, port, e.Protocol)
	f, _, found := t.find(&k, k.place())
	return found && !f.expired(e.Protocol, at)
}
