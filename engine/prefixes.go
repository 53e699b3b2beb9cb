// SPDX-License-Identifier: MIT

package engine

import (
	"net/netip"

	"go4.org/netipx"
)

// Prefixes is a set of addresses, given by prefixes. The zero Prefixes is
// empty. It is not changed once made, so any number of goroutines may ask.
type Prefixes struct{ set netipx.IPSet }

// NewPrefixes returns the union of ps. Bits behind a prefix's length do not
// matter; invalid prefixes are left out.
func NewPrefixes(ps ...netip.Prefix) Prefixes {
	var b netipx.IPSetBuilder
	for _, p := range ps {
		if p.IsValid() {
			b.AddPrefix(p)
		}
	}
	set, _ := b.IPSet() // its errors are of invalid prefixes
	return Prefixes{*set}
}

// Contains reports whether a, which must have no zone, is in the set.
func (s *Prefixes) Contains(a netip.Addr) bool { return s.set.Contains(a) }

// Covers reports whether every address of p is in the set.
func (s *Prefixes) Covers(p netip.Prefix) bool { return s.set.ContainsPrefix(p) }

// Overlaps reports whether any address of p is in the set.
func (s *Prefixes) Overlaps(p netip.Prefix) bool { return s.set.OverlapsPrefix(p) }
