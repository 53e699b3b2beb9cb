// SPDX-License-Identifier: MIT

package nft

import (
	"fmt"
	"net/netip"
)

// Connected reports whether a, or another address of its IPv6 /64, had a
// connection with this host within the last [PeerTime]. It finds connections too
// young for the last look at the sockets.
func (t *Table) Connected(a netip.Addr) (bool, error) {
	key := a.AsSlice()
	if a.Is6() {
		clear(key[8:])
	}
	is, err := t.question.Has("connected"+familyOf(a), key)
	if err != nil {
		return false, fmt.Errorf("ask whether %s was connected: %w", a, err)
	}
	return is, nil
}
