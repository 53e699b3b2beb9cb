// SPDX-License-Identifier: MIT

package book

import (
	"net/netip"

	"picket/internal/probe"
)

// Networks remembers the networks of the last days' scanners: the /24 of an IPv4 address,
// the /56 of an IPv6 one (RFC 6177 gives a site that or more). Its buckets hold four; a
// full one drops the network with the fewest scanners, and of several the one that was
// quiet longest. Make one with [NewNetworks].
type Networks struct {
	seen [1 << 10][4]network
	seed uint64
}

// A network is what is known of one.
type network struct {
	tag     uint32
	last    uint32 // seconds of the engine's time
	members [3]uint16
	n       uint8 // of members
}

const (
	// NetworkAt is how many scanners make a network a scanner.
	NetworkAt = 3

	// networkDays is how long a scanner counts for its network, in seconds.
	networkDays = 7 * 24 * 3600

	// NetworkBits4 and NetworkBits6 are how many bits of an address are its network's.
	NetworkBits4 = 24
	NetworkBits6 = 56
)

// NewNetworks returns an empty one. The seed decides which networks share a bucket.
func NewNetworks(seed uint64) Networks { return Networks{seed: seed} }

// networkOf returns a source's network as a key, and what tells the source from its
// neighbours there.
func networkOf(k probe.Key) (of probe.Key, member uint16) {
	if k.Hi == 0 && k.Lo>>32 == 0xffff {
		return probe.Key{Lo: k.Lo &^ 0xff}, uint16(k.Lo) & 0xff
	}
	return probe.Key{Hi: k.Hi &^ 0xff}, uint16(k.Hi)&0xff ^ uint16(k.Lo*probe.Golden>>48)
}

// PrefixOfNetwork returns the network that a is in.
func PrefixOfNetwork(a netip.Addr) netip.Prefix {
	bits := NetworkBits6
	if a.Is4() {
		bits = NetworkBits4
	}
	return netip.PrefixFrom(a, bits).Masked()
}

// find returns the place of a network, or nil.
func (w *Networks) find(of probe.Key, now int64) *network {
	h := of.Mix(w.seed)
	sec := uint32(now / 1e9)
	for i := range w.seen[h%uint64(len(w.seen))] {
		x := &w.seen[h%uint64(len(w.seen))][i]
		if x.n > 0 && x.tag == uint32(h>>32) && sec-x.last < networkDays {
			return x
		}
	}
	return nil
}

// Others returns how many scanners are known in the network of a source besides itself.
func (w *Networks) Others(k probe.Key, now int64) int {
	of, member := networkOf(k)
	x := w.find(of, now)
	if x == nil {
		return 0
	}
	n := int(x.n)
	for _, m := range x.members[:x.n] {
		if m == member {
			n--
		}
	}
	return n
}

// Note books a scanner, and returns how many its network has, at most NetworkAt.
func (w *Networks) Note(k probe.Key, now int64) int {
	of, member := networkOf(k)
	sec := uint32(now / 1e9)
	x := w.find(of, now)
	if x == nil {
		h := of.Mix(w.seed)
		bucket := &w.seen[h%uint64(len(w.seen))]
		x = &bucket[0]
		for i := range bucket {
			y := &bucket[i]
			if y.n == 0 || sec-y.last >= networkDays {
				x = y
				break
			}
			if y.n < x.n || y.n == x.n && sec-y.last > sec-x.last {
				x = y
			}
		}
		*x = network{tag: uint32(h >> 32)}
	}
	x.last = sec
	for _, m := range x.members[:x.n] {
		if m == member {
			return int(x.n)
		}
	}
	if x.n < NetworkAt {
		x.members[x.n] = member
		x.n++
	}
	return int(x.n)
}
