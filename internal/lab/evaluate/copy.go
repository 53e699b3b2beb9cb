// SPDX-License-Identifier: MIT

package main

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"
)

// A copier turns a captured life into another one: the same packets at another time, from other
// addresses, with other ports and sequence numbers.
type copier struct {
	copy    int    // number of the copy, from 0
	ports   uint16 // added to client ports
	far     uint32 // added to sequence numbers of the far end
	near    uint32 // and of the server
	id      uint16 // added to IPv4 identifications
	begins  time.Time
	stretch float64
}

// newCopier returns the copier of copy i. Two of three copies have the original's pace; every
// third is ten times as slow.
func newCopier(i int, r *rand.Rand, day time.Time) *copier {
	c := &copier{copy: i, ports: uint16(r.IntN(20000)), far: r.Uint32(), near: r.Uint32(),
		id: uint16(r.Uint32()), stretch: 1}
	if i%3 == 2 {
		c.stretch = 10
	}
	c.begins = day.Add(time.Duration(r.Int64N(int64(23 * time.Hour))))
	return c
}

// other returns the address in this copy for an innocent's address: in 198.18.0.0/15 (RFC
// 2544), 128 of it for a copy; 2001:db8:1000+copy:N::1. A neighbour stays a neighbour:
// 10.copy.copy.N (RFC 1918), 2001:db8::copy+1:b:N.
func (c *copier) other(a netip.Addr) (netip.Addr, bool) {
	n, near, ok := innocentOf(a)
	switch {
	case !ok:
		return a, false
	case near && a.Is4():
		return netip.AddrFrom4([4]byte{10, byte(c.copy >> 8), byte(c.copy), byte(n)}), true
	case near:
		b := a.As16()
		binary.BigEndian.PutUint16(b[10:], uint16(c.copy+1))
		return netip.AddrFrom16(b), true
	}
	if a.Is4() {
		b := a.As4()
		binary.BigEndian.PutUint32(b[:], 198<<24|18<<16+uint32(c.copy)<<7|uint32(n))
		return netip.AddrFrom4(b), true
	}
	b := a.As16()
	binary.BigEndian.PutUint16(b[4:], uint16(0x1000+c.copy))
	return netip.AddrFrom16(b), true
}

// original returns the innocent of the live capture for an address of a copy.
func original(a netip.Addr) (n int, ok bool) {
	if a.Is4() {
		b := a.As4()
		if b[0] == 10 {
			return int(b[3]), true
		}
		return int(b[3] & 0x7f), b[0] == 198 && b[1]&0xfe == 18
	}
	b := a.As16()
	if b[4]|b[5]|b[6]|b[7] == 0 && b[10]|b[11] != 0 && b[13] == 0xb {
		return int(b[15]), true
	}
	return int(b[7]), b[1] == 1 && b[2] == 0x0d && b[4] >= 0x10
}

// rewrite turns an IP packet into the copy's. A right checksum stays right and a wrong one
// wrong (RFC 1624). Packets quoted by ICMP errors change too.
func (c *copier) rewrite(ip []byte) {
	src, dst := ends(ip)
	newSrc, farSends := c.other(src)
	newDst, farGets := c.other(dst)
	if !farSends && !farGets {
		return
	}
	var sum checksum
	at, size := 12, 4
	if src.Is6() {
		at, size = 8, 16
	}
	sum.replace(ip[at:at+size], newSrc.AsSlice())
	sum.replace(ip[at+size:at+2*size], newDst.AsSlice())
	addresses := sum
	protocol, transport, first := ip[9], ip[min(len(ip), int(ip[0]&15)*4):], true
	if src.Is6() {
		protocol, transport = ip[6], ip[40:]
		if protocol == 44 { // a fragment
			if len(transport) < 8 {
				return
			}
			first = binary.BigEndian.Uint16(transport[2:])>>3 == 0
			protocol, transport = transport[0], transport[8:]
		}
	} else {
		first = binary.BigEndian.Uint16(ip[6:])&0x1fff == 0
		if id := ip[4:6]; id[0] != 0 || id[1] != 0 {
			sum.add(id, c.id)
		}
		sum.store(ip[10:12])
	}
	if first {
		c.transport(protocol, transport, farSends, addresses)
	}
}

// transport turns ports and sequence numbers. The checksum of TCP, UDP and
// ICMPv6 covers the addresses.
func (c *copier) transport(protocol byte, b []byte, farSends bool, sum checksum) {
	switch {
	case protocol == 6 && len(b) >= 20:
		c.shift(b[0:2], &sum)
		c.shift(b[2:4], &sum)
		mine, others := c.near, c.far
		if farSends {
			mine, others = c.far, c.near
		}
		sum.add32(b[4:8], mine)
		if b[13]&0x10 != 0 {
			sum.add32(b[8:12], others)
		}
		sum.store(b[16:18])
	case protocol == 17 && len(b) >= 8:
		c.shift(b[0:2], &sum)
		c.shift(b[2:4], &sum)
		if b[6] != 0 || b[7] != 0 {
			sum.store(b[6:8])
		}
	case protocol == 1 && len(b) >= 8 && (b[0] == 3 || b[0] == 11 || b[0] == 12),
		protocol == 58 && len(b) >= 8 && b[0] < 128:
		if isIP(b[8:]) {
			c.rewrite(b[8:])
		}
	case protocol == 58 && len(b) >= 4:
		sum.store(b[2:4])
	}
}

// shift changes a port that a client took at random.
func (c *copier) shift(port []byte, sum *checksum) {
	const low = 32768
	if p := binary.BigEndian.Uint16(port); p >= low {
		sum.add(port, low+(p-low+c.ports)%(65536-low)-p)
	}
}

// A checksum is the difference that changes make to an Internet checksum.
type checksum uint32

func (s *checksum) replace(field, with []byte) {
	for i := 0; i < len(field); i += 2 {
		*s += checksum(^binary.BigEndian.Uint16(field[i:])) + checksum(binary.BigEndian.Uint16(with[i:]))
	}
	copy(field, with)
}

func (s *checksum) add(field []byte, n uint16) {
	var with [2]byte
	binary.BigEndian.PutUint16(with[:], binary.BigEndian.Uint16(field)+n)
	s.replace(field, with[:])
}

func (s *checksum) add32(field []byte, n uint32) {
	var with [4]byte
	binary.BigEndian.PutUint32(with[:], binary.BigEndian.Uint32(field)+n)
	s.replace(field, with[:])
}

// store adds the difference to a checksum.
func (s *checksum) store(field []byte) {
	old := ^binary.BigEndian.Uint16(field)
	binary.BigEndian.PutUint16(field, ^fold(uint32(old)+uint32(fold(uint32(*s)))))
}

// multiply writes copies of a life, sorted by time, and returns how many packets they have.
func multiply(life []captured, copies int, name string) (packets int, err error) {
	r := rand.New(rand.NewPCG(7425, uint64(copies))) // the same copies in every run
	day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	type place struct {
		at     int64
		copier *copier
		packet int32
	}
	places := make([]place, 0, copies*len(life))
	began := life[0].at
	for i := range copies {
		c := newCopier(i, r, day)
		for n := range life {
			at := c.begins.Add(time.Duration(float64(life[n].at.Sub(began)) * c.stretch))
			places = append(places, place{at.UnixNano(), c, int32(n)})
		}
	}
	slices.SortStableFunc(places, func(a, b place) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return 0
	})
	w, err := createCapture(name)
	if err != nil {
		return 0, err
	}
	buf := make([]byte, 0, 1<<16)
	for _, p := range places {
		c := life[p.packet]
		buf = append(buf[:0], c.frame...)
		p.copier.rewrite(buf[ethernet:])
		if err := w.write(time.Unix(0, p.at), c.length, buf); err != nil {
			w.close()
			return 0, err
		}
	}
	return w.n, w.close()
}
