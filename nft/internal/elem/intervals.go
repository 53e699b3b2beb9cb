// SPDX-License-Identifier: MIT

package elem

import (
	"bytes"
	"net/netip"
)

// Intervals pairs the starts and ends that a set with intervals lists, and calls Each for
// every pair: end is the first address behind it, not valid where it reaches the highest. The
// kernel's tree lists them from the highest
// key down (nft_rbtree_walk in net/netfilter/nft_set_rbtree.c); another kind of set
// may do otherwise, so both ways are understood.
type Intervals struct {
	Each  func(from, end netip.Addr, e *Element) error
	last  netip.Addr // the key before, and
	above netip.Addr // the one before that is another
	down  bool       // the way, once there were two keys
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
