// SPDX-License-Identifier: MIT

package engine

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"time"
)

// tick is the resolution in which a source's record keeps when a port was
// probed: 16 bits of it last 36 hours.
const tick = 2 * time.Second

// portSlots is how many distinct ports a record holds; a further one takes the
// place of the oldest.
const portSlots = 32

// maxAge is how long a probed port is kept, well below what its 16-bit stamp
// can tell apart.
const maxAge = uint16(24 * time.Hour / tick)

// A key is a source: an IPv4 address, IPv4-mapped, or an IPv6 prefix of the
// configured length.
type key struct{ hi, lo uint64 }

// keyOf returns the key of a, bits being the length of an IPv6 prefix.
func keyOf(a netip.Addr, bits int) key {
	if a.Is4() {
		b := a.As4()
		return key{lo: 0xffff<<32 | uint64(binary.BigEndian.Uint32(b[:]))}
	}
	b := a.As16()
	k := key{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
	if bits <= 64 {
		return key{hi: k.hi &^ (1<<(64-bits) - 1)}
	}
	k.lo &^= 1<<(128-bits) - 1
	return k
}

// A source is what is remembered of one source. It has no pointers and a fixed
// size; TestSourceSize holds it to that.
type source struct {
	key
	first  int64     // when the first and
	last   int64     // the newest probe came, ns since the epoch
	probes uint32    // without retransmissions
	again  uint32    // retransmissions
	recent [4]uint32 // fingerprints of the latest probes; 0 is none
	ports  uint32    // distinct ports seen; one that 32 others followed counts again
	used   uint8     // slots in use
	next   uint8     // slot that the next new port takes
	turn   uint8     // slot of recent that the next probe takes
	flags  uint8

	targets   uint64                // bit set over a hash of the destinations
	protocols uint64                // two bits a slot: see class
	port      [portSlots / 4]uint64 // distinct ports, four a word; see portAt
	stamp     [portSlots]uint16     // when each was probed last, in ticks
}

// Bits of source.flags.
const (
	proven       = 1 << iota // the address was shown to be real
	toldPortScan             // the pattern was told
	toldSweep
)

// class folds a protocol into the two bits that a slot has for it.
func class(protocol uint8) uint8 {
	switch protocol {
	case ProtocolTCP:
		return 0
	case ProtocolUDP:
		return 1
	case ProtocolSCTP:
		return 2
	}
	return 3
}

var classNames = [...]string{"tcp", "udp", "sctp", "ip"}

// stampOf returns the 16-bit stamp of a time.
func stampOf(at int64) uint16 { return uint16(at / int64(tick)) }

// repeated reports whether the probe with this fingerprint is one of the
// latest, and remembers it if not. RFC 9293, 3.8.1: a retransmission bears the
// sequence number of the segment it repeats.
func (s *source) repeated(fingerprint uint32) bool {
	for _, r := range s.recent {
		if r == fingerprint {
			return true
		}
	}
	s.recent[s.turn] = fingerprint
	s.turn = (s.turn + 1) % uint8(len(s.recent))
	return false
}

// portAt returns the port in a slot.
func (s *source) portAt(slot int) uint16 { return uint16(s.port[slot/4] >> (slot % 4 * 16)) }

// setPort puts a port into a slot.
func (s *source) setPort(slot int, port uint16, class uint8) {
	shift := slot % 4 * 16
	s.port[slot/4] = s.port[slot/4]&^(0xffff<<shift) | uint64(port)<<shift
	s.protocols = s.protocols&^(3<<(2*slot)) | uint64(class)<<(2*slot)
}

// slotOf returns the slot of a port, or -1. It compares four slots at a time:
// a lane of x is zero where the port is equal, and the highest bit of a lane of
// zero is set where a lane of x is zero (Warren, Hacker's Delight, 6-1; lanes
// above a zero one may be set in error, so each is looked at).
func (s *source) slotOf(port uint16, class uint8) int {
	const ones, tops = 0x0001_0001_0001_0001, 0x8000_8000_8000_8000
	for w := 0; w*4 < int(s.used); w++ {
		x := s.port[w] ^ uint64(port)*ones
		for zero := (x - ones) &^ x & tops; zero != 0; zero &= zero - 1 {
			slot := w*4 + bits.TrailingZeros64(zero)/16
			if slot < int(s.used) && s.portAt(slot) == port && uint8(s.protocols>>(2*slot)&3) == class {
				return slot
			}
		}
	}
	return -1
}

// note records that a port was probed and reports whether it is a new one.
func (s *source) note(port uint16, class uint8, now uint16) bool {
	slot := s.slotOf(port, class)
	if slot >= 0 {
		s.stamp[slot] = now
		return false
	}
	s.ports++
	slot = int(s.next)
	s.used = min(s.used+1, portSlots)
	s.next = (s.next + 1) % portSlots
	s.setPort(slot, port, class)
	s.stamp[slot] = now
	return true
}

// within counts the ports that were probed at most window ticks ago.
func (s *source) within(now, window uint16) (n int) {
	for _, t := range s.stamp[:s.used] {
		if now-t <= window {
			n++
		}
	}
	return n
}

// forget drops what the record knows of ports: the source starts anew.
func (s *source) forget() {
	s.used, s.next, s.ports, s.targets = 0, 0, 0, 0
	s.flags &^= toldPortScan | toldSweep
	s.recent = [4]uint32{}
}

// aim records a destination and returns how many different ones were seen. It
// is a lower bound: two may share one of the 64 bits.
func (s *source) aim(destination netip.Addr) int {
	b := destination.As16()
	h := (binary.BigEndian.Uint64(b[:8]) ^ binary.BigEndian.Uint64(b[8:])) * 0x9e3779b97f4a7c15
	s.targets |= 1 << (h >> 58)
	return bits.OnesCount64(s.targets)
}

// fingerprint folds what two copies of one probe share: the flow and the
// sequence number. It is never 0.
func fingerprint(p *Probe) uint32 {
	b, from := p.Destination.As16(), p.Source.As16() // of an IPv6 prefix, several addresses may be one source
	h := binary.BigEndian.Uint64(b[8:]) ^ binary.BigEndian.Uint64(from[8:])*0x9fb21c651e98df25 ^ uint64(p.SourcePort)<<48 ^ uint64(p.Port)<<32 ^ uint64(p.Seq)
	h = (h ^ uint64(p.Protocol)<<16 ^ uint64(p.Technique)) * 0x9e3779b97f4a7c15
	return uint32(h>>32) | 1
}
