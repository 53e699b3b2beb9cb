// SPDX-License-Identifier: MIT

package nft

import (
	"fmt"
	"net/netip"

	"picket/nft/internal/elem"
)

// Connected reports whether a, or another address of its IPv6 /64, had a
// connection with this host within the last [PeerTime]. It finds connections too
// young for the last look at the sockets.
func (t *Table) Connected(a netip.Addr) (bool, error) {
	key := a.AsSlice()
	if a.Is6() {
		clear(key[8:])
	}
	is := false
	err := t.question.Put(0, "connected"+familyOf(a), key)
	if err == nil {
		err = t.question.Ask(1, func(_ uint32, e *elem.Element) { is = e != nil })
	}
	if err != nil {
		return false, fmt.Errorf("ask whether %s was connected: %w", a, err)
	}
	return is, nil
}
