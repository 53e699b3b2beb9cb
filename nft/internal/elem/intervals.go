// SPDX-License-Identifier: MIT

package elem

import (
	"bytes"
	"net/netip"
)

// Intervals pairs the starts and ends in the list of an interval set, and calls Each for
// every pair. An end is the first address after the interval; it is invalid if the
// interval reaches the highest address. The kernel's tree lists from the highest key
// down (nft_rbtree_walk in net/netfilter/nft_set_rbtree.c); another kind of set may
// not, so both orders work.
type Intervals struct {
	Each  func(from, end netip.Addr, e *Element) error
	last  netip.Addr // the key before
	above netip.Addr // the last key that differs from it
	down  bool       // the order, once there were two keys
	known bool
	open  Element // a start whose end has not come yet
	opens bool
}

// Next takes an element; nil ends the list.
func (n *Intervals) Next(e *Element) error {
	if e == nil {
		return n.close(netip.Addr{})
	}
	k, ok := netip.AddrFromSlice(e.Key)
	if !ok {
		return nil
	}
	if k != n.last {
		if n.last.IsValid() && !n.known {
			n.known, n.down = true, k.Less(n.last)
		}
		end := k
		if n.down {
			end = netip.Addr{} // the first of all had none
		}
		if err := n.close(end); err != nil {
			return err
		}
		n.last, n.above = k, n.last
	}
	switch {
	case e.End:
		return nil
	case n.known && n.down:
		return n.Each(k, n.above, e)
	}
	n.open, n.opens = *e, true
	n.open.Key = bytes.Clone(e.Key)
	return nil
}

// close ends the start that is open, if one is.
func (n *Intervals) close(end netip.Addr) error {
	if !n.opens {
		return nil
	}
	n.opens = false
	from, _ := netip.AddrFromSlice(n.open.Key)
	return n.Each(from, end, &n.open)
}
