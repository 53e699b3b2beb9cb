// SPDX-License-Identifier: MIT

package engine

import (
	"net/netip"
	"slices"
)

// Prefixes is a set of addresses, given by prefixes. The zero Prefixes is
// empty. It is not changed once made, so any number of goroutines may ask.
type Prefixes struct {
	ranges []addrRange // sorted, without overlap
}

type addrRange struct{ from, to netip.Addr }

// NewPrefixes returns the union of ps. Bits behind a prefix's length do not
// matter; invalid prefixes are left out.
func NewPrefixes(ps ...netip.Prefix) Prefixes {
	ranges := make([]addrRange, 0, len(ps))
	for _, p := range ps {
		if p.IsValid() {
			ranges = append(ranges, addrRange{p.Masked().Addr(), lastAddr(p)})
		}
	}
	slices.SortFunc(ranges, func(a, b addrRange) int { return a.from.Compare(b.from) })
	merged := ranges[:0]
	for _, r := range ranges {
		if n := len(merged); n > 0 && r.from.BitLen() == merged[n-1].to.BitLen() && r.from.Compare(merged[n-1].to) <= 0 {
			if merged[n-1].to.Less(r.to) {
				merged[n-1].to = r.to
			}
			continue
		}
		merged = append(merged, r)
	}
	return Prefixes{ranges: merged}
}

// Contains reports whether a, which must have no zone, is in the set.
func (s Prefixes) Contains(a netip.Addr) bool {
	if len(s.ranges) == 0 {
		return false
	}
	i, found := slices.BinarySearchFunc(s.ranges, a, func(r addrRange, a netip.Addr) int { return r.from.Compare(a) })
	if found {
		return true
	}
	return i > 0 && a.BitLen() == s.ranges[i-1].to.BitLen() && a.Compare(s.ranges[i-1].to) <= 0
}

// Overlaps reports whether any address of p is in the set.
func (s Prefixes) Overlaps(p netip.Prefix) bool {
	from, to := p.Masked().Addr(), lastAddr(p)
	return slices.ContainsFunc(s.ranges, func(r addrRange) bool {
		return r.from.BitLen() == from.BitLen() && r.from.Compare(to) <= 0 && from.Compare(r.to) <= 0
	})
}

// lastAddr returns the highest address of p.
func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := range b {
		if n := p.Bits() - 8*i; n <= 0 {
			b[i] = 0xff
		} else if n < 8 {
			b[i] |= 0xff >> n
		}
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
