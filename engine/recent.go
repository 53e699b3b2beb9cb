// SPDX-License-Identifier: MIT

package engine

import (
	"encoding/binary"
	"net/netip"
)

// Recent describes the sources that were seen last, the latest first, at most
// n of them.
func (e *Engine) Recent(n int) (out []Source) {
	t := e.sources
	for r := t.newest; r != none && len(out) < n; r = t.order[r].older {
		if s, ok := e.Describe(t.records[r].addr()); ok {
			out = append(out, s)
		}
	}
	return out
}

// addr returns the address, or the first of the prefix.
func (k key) addr() netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], k.hi)
	binary.BigEndian.PutUint64(b[8:], k.lo)
	return netip.AddrFrom16(b).Unmap()
}
