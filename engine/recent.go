// SPDX-License-Identifier: MIT

package engine

import (
	"encoding/binary"
	"net/netip"
)

// Recent describes the sources that were seen last, the latest first, at most
// n of them.
func (e *Engine) Recent(n int) (out []Source) {
	for _, s := range e.sources.latest(n) {
		if src, ok := e.Describe(s.addr()); ok {
			out = append(out, src)
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
