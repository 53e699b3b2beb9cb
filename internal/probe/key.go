// SPDX-License-Identifier: MIT

package probe

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// A Key is an address, or its first bits, as a number; an IPv4 address is IPv4-mapped.
// Tables of sources look up by it.
type Key struct{ Hi, Lo uint64 }

// Words returns an address as a number of two words.
func Words(a netip.Addr) Key {
	if a.Is4() {
		b := a.As4()
		return Key{Lo: 0xffff<<32 | uint64(binary.BigEndian.Uint32(b[:]))}
	}
	b := a.As16()
	return Key{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// Masked returns the first bits of an IPv6 address.
func (k Key) Masked(bits int) Key {
	if bits <= 64 {
		return Key{Hi: k.Hi &^ (1<<(64-bits) - 1)}
	}
	k.Lo &^= 1<<(128-bits) - 1
	return k
}

// Hash spreads an address over 64 bits. The highest bits are the best.
func (k Key) Hash() uint64 { return (k.Hi ^ k.Lo) * Golden }

// Mix hashes a key with a seed (the folded multiplication of wyhash).
func (k Key) Mix(seed uint64) uint64 {
	hi, lo := bits.Mul64(k.Hi^seed^0xa0761d6478bd642f, k.Lo^bits.RotateLeft64(seed, 32)^0xe7037ed1a0b428db)
	hi, lo = bits.Mul64(hi^lo, 0x8ebc6af09c88c6e3)
	return hi ^ lo
}

// Addr returns the address, or the first of the prefix.
func (k Key) Addr() netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], k.Hi)
	binary.BigEndian.PutUint64(b[8:], k.Lo)
	return netip.AddrFrom16(b).Unmap()
}

// Golden is 2^64 divided by the golden ratio: Knuth, volume 3, 6.4.
const Golden = 0x9e3779b97f4a7c15
