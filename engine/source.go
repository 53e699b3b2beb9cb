// SPDX-License-Identifier: MIT

package engine

import (
	"encoding/binary"
	"math/bits"
	"time"

	"picket/internal/probe"
)

// portSlots is how many distinct ports a record holds; a further one takes the
// place of the oldest.
const portSlots = 32

// A source is what is remembered of one source: three cache lines, of which
// the first two hold what every probe is compared with. It has no pointers,
// so the collector does not look at it. TestSourceSize holds its size.
type source struct {
	probe.Key
	last   int64     // when the newest probe came, by the engine's time
	recent [3]uint32 // fingerprints of the latest probes; 0 is none
	score  int8      // decibans for its being a scanner: see weighs
	marks  uint8     // the heaviest observation of how its packets are made, and flags
	asked  uint16    // low bits of the latest source port, and how many of our addresses were weighed
	probes uint32    // without retransmissions

	// Bit sets over the slots.
	copied  uint32 // ports that other sources probed last with the same packet: see decoys
	current uint32 // ports probed in the present half of the slow window

	half   uint8 // which half of the slow window that is, modulo 256
	flags  uint8
	used   uint8      // slots in use
	next   uint8      // slot that the next new port takes
	turn   uint8      // slot of recent that the next probe takes
	live   uint8      // ports inside the window
	named  Pattern    // what the probes are together
	tool   probe.Tool // what the packets look like
	agreed uint8      // new ports in a row whose packets looked like it, agreedMost at most; and markTrap
	seen   uint8      // epoch of the table in which it came back last
	hosts  uint16     // bit set over a hash of the addresses of an IPv6 prefix that were reacted to

	port [portSlots / 4]uint64 // distinct ports, four a word; see portAt

	stamp     [portSlots]uint8 // when each was asked last, see stampOf, | shown; 0 is outside the window
	protocols uint64           // two bits a slot: see class
	targets   [2]uint64        // bit sets over a hash of the destinations: this window, the one before
	first     uint32           // when the first probe came, seconds since the epoch, by the engine's time
	ports     uint16           // distinct ports seen; one that 32 others followed counts again
	again     uint16           // retransmissions, at most 65535 are counted
}

// Bits of source.flags.
const (
	proven       = 1 << iota // a connection was completed once
	toldPortScan             // the pattern was told
	toldSweep
	toldSlow
	toldDistributed
	toldDecoy
	decoyed  // copies of its probes came from other sources
	answered // there was a response to it that rests on what may be forged, see answering
	told     = toldPortScan | toldSweep | toldSlow | toldDistributed | toldDecoy
)

// class folds a protocol into the two bits that a slot has for it.
func class(protocol uint8) uint8 {
	switch protocol {
	case probe.ProtocolTCP:
		return 0
	case probe.ProtocolUDP:
		return 1
	case probe.ProtocolSCTP:
		return 2
	}
	return 3
}

var classNames = [...]string{"tcp", "udp", "sctp", "ip"}

// shown marks the stamp of a completed connection to a port: nobody can forge that.
const shown = 1 << 7

// stampOf folds a time in units into the seven bits of a slot. 0 stays free.
func stampOf(units int64) uint8 { return uint8(uint64(units)%127) + 1 }

// since returns how many units passed from stamp to now, if fewer than 127 did.
func since(stamp, now uint8) int { return (int(now&^shown) - int(stamp&^shown) + 127) % 127 }

// retransmitted is how long after a probe its copies come: Linux sends a SYN for the last
// time 64 s after the one before (tcp(7), tcp_syn_retries). A scanner with one source
// port and sequence numbers derived from the target sends the same packet again hours
// later.
const retransmitted = int64(5 * time.Minute)

// repeated reports whether the probe with this fingerprint is one of the
// latest, and remembers it if not. RFC 9293, 3.8.1: a retransmission bears the
// sequence number of the segment it repeats.
func (s *source) repeated(fingerprint uint32) bool {
	if s.recent[0] == fingerprint || s.recent[1] == fingerprint || s.recent[2] == fingerprint {
		return true
	}
	s.recent[s.turn%3] = fingerprint
	s.turn++
	return false
}

// portAt returns the port in a slot.
func (s *source) portAt(slot int) uint16 { return uint16(s.port[slot/4] >> (slot % 4 * 16)) }

// classAt returns the class in a slot.
func (s *source) classAt(slot int) uint8 { return uint8(s.protocols >> (2 * slot) & 3) }

// ith returns the slot of the i-th port, the oldest first.
func (s *source) ith(i int) int {
	if s.used < portSlots {
		return i
	}
	return (int(s.next) + i) % portSlots
}

// setPort puts a port into a slot.
func (s *source) setPort(slot int, port uint16, class uint8) {
	shift := slot % 4 * 16
	s.port[slot/4] = s.port[slot/4]&^(0xffff<<shift) | uint64(port)<<shift
	s.protocols = s.protocols&^(3<<(2*slot)) | uint64(class)<<(2*slot)
}

// slotOf returns the slot of a port, or -1. It compares all 32 slots, four at
// a time and without a branch, since where the port is cannot be predicted:
// the highest bit of a lane of z is set where a lane of x is zero (Warren,
// Hacker's Delight, 6-1), and word w leaves its finds at bit 15-w of each lane.
func (s *source) slotOf(port uint16, class uint8) int {
	const ones, low = 0x0001_0001_0001_0001, 0x7fff_7fff_7fff_7fff
	var found uint64
	for w := range s.port {
		x := s.port[w] ^ uint64(port)*ones
		z := ^((x&low + low) | x | low)
		found |= z >> w
	}
	for ; found != 0; found &= found - 1 {
		bit := bits.TrailingZeros64(found)
		slot := (15-bit%16)*4 + bit/16
		if slot < int(s.used) && s.classAt(slot) == class {
			return slot
		}
	}
	return -1
}

// note records a probe of a port, and returns the port's slot and whether it is new.
func (s *source) note(port uint16, class uint8, now uint8) (slot int, fresh bool) {
	return s.noteIn(s.slotOf(port, class), port, class, now)
}

// noteIn is note for a port whose slot is known, -1 for none.
func (s *source) noteIn(slot int, port uint16, class uint8, now uint8) (at int, fresh bool) {
	if fresh = slot < 0; fresh {
		slot = int(s.next % portSlots)
		if s.used < portSlots {
			s.used++
		} else if s.stamp[slot] != 0 {
			s.live--
		}
		s.next = uint8(slot+1) % portSlots
		s.setPort(slot, port, class)
		s.stamp[slot] = 0
		if s.ports++; s.ports == 0 {
			s.ports--
		}
	}
	if s.stamp[slot] == 0 {
		s.live++
	}
	if s.stamp[slot]&shown == 0 { // what others forge must neither end nor prolong a proof
		s.stamp[slot] = now
	}
	s.current |= 1 << slot
	s.copied &^= 1 << slot
	return slot, fresh
}

// own counts the ports inside the window that no other source probed.
func (s *source) own() int {
	if s.copied == 0 {
		return int(s.live)
	}
	return bits.OnesCount32(s.inside() &^ s.copied)
}

// within counts the ports of a class's kind inside the window: all, and those that no
// other source probed. A trigger is compared with ports of its own kind: TCP with SCTP,
// UDP, the rest.
func (s *source) within(class uint8) (all, own int) {
	const every = 0x5555_5555_5555_5555
	if (s.protocols^uint64(class)*every)&(1<<(2*s.used)-1)|uint64(s.copied) == 0 {
		return int(s.live), int(s.live) // all are of that class, as mostly
	}
	kind := s.kind(class) & s.inside()
	return bits.OnesCount32(kind), bits.OnesCount32(kind &^ s.copied)
}

// kind returns the bit set of the slots of a class's kind.
func (s *source) kind(class uint8) uint32 {
	const even = 0x5555_5555_5555_5555
	low, high := s.protocols&even, s.protocols>>1&even
	x := ^low & even // TCP and SCTP; see class
	switch class {
	case 1:
		x = low &^ high
	case 3:
		x = low & high
	}
	// Every second bit, moved together (Warren, Hacker's Delight, 7-2).
	x = (x | x>>1) & 0x3333_3333_3333_3333
	x = (x | x>>2) & 0x0f0f_0f0f_0f0f_0f0f
	x = (x | x>>4) & 0x00ff_00ff_00ff_00ff
	x = (x | x>>8) & 0x0000_ffff_0000_ffff
	return uint32(x | x>>16)
}

// inside returns the bit set of the slots whose ports are inside the window.
func (s *source) inside() (slots uint32) {
	const low = 0x7f7f_7f7f_7f7f_7f7f
	for i := range portSlots / 8 {
		x := binary.LittleEndian.Uint64(s.stamp[8*i:])
		x = ((x&low + low) | x) &^ low >> 7 // the lowest bit of each byte that is not 0
		slots |= uint32(x*0x0102_0408_1020_4080>>56) << (8 * i)
	}
	return slots
}

// all counts the ports that no other source probed, in the window or before.
func (s *source) all() int { return int(s.used) - bits.OnesCount32(s.copied) }

// tire drops from the window the ports probed more than window units before now.
func (s *source) tire(now uint8, window int) {
	s.live = 0
	for i, t := range s.stamp[:s.used] {
		if t == 0 {
			continue
		}
		if since(t, now) > window {
			s.stamp[i] = 0
			continue
		}
		s.live++
	}
}

// rest empties the window.
func (s *source) rest() {
	s.stamp = [portSlots]uint8{}
	s.live, s.named = 0, NoPattern
	s.flags &^= decoyed
}

// retain drops the ports outside the bit set slots.
func (s *source) retain(slots uint32) {
	n := 0
	for i := range int(s.used) {
		if slots>>i&1 == 0 {
			if s.stamp[i] != 0 {
				s.live--
			}
			continue
		}
		if n != i {
			s.setPort(n, s.portAt(i), s.classAt(i))
			s.stamp[n] = s.stamp[i]
			s.copied = s.copied&^(1<<n) | s.copied>>i&1<<n
		}
		n++
	}
	clear(s.stamp[n:])
	s.copied &= 1<<n - 1
	s.used, s.next = uint8(n), uint8(n%portSlots)
}

// forget drops what the record knows of ports and targets: the source starts anew.
func (s *source) forget() {
	s.rest()
	s.used, s.next, s.ports, s.current, s.copied = 0, 0, 0, 0, 0
	s.targets = [2]uint64{}
	s.flags &^= told
	s.recent = [3]uint32{}
}

// aim records a destination and returns at least how many this window and the one before
// saw: two may share one of the 64 bits.
func (s *source) aim(destination probe.Key) int {
	s.targets[0] |= 1 << (destination.Hash() >> 58)
	return s.aims()
}

func (s *source) aims() int { return bits.OnesCount64(s.targets[0] | s.targets[1]) }

// flowOf hashes what copies of a probe share, whoever sends them. Because of the seed no
// sender can choose sequence numbers that make its probes look alike; Mirai's is the
// address itself.
func flowOf(p *probe.Probe, to probe.Key, seed uint64) uint64 {
	h := uint64(p.SourcePort)<<48 ^ uint64(p.Port)<<32 ^ uint64(p.Seq) ^ uint64(p.Sent)<<44
	aim := to.Hi*0xd6e8feb86659fd93 + to.Lo*probe.Golden + uint64(p.Protocol)<<8 + uint64(p.Technique)
	hi, lo := bits.Mul64(h^seed^0xa0761d6478bd642f, aim^bits.RotateLeft64(seed, 32))
	return hi ^ lo
}

// fingerprint hashes what copies of a probe from one address share: an IPv6 prefix is one
// source of several addresses. It is never 0.
func fingerprint(flow uint64, from probe.Key) uint32 {
	return uint32((flow^from.Lo*0x9fb21c651e98df25)*probe.Golden>>32) | 1
}
