// SPDX-License-Identifier: MIT

package nft

import (
	"bytes"
	"net/netip"

	"go4.org/netipx"

	"picket/nft/internal/elem"
)

// Each has f see the blocks that the kernel has, one after the other, in no order,
// and ends with the first error of f. The block is f's until it returns. No more
// than 32 KiB of the list is in memory: 100,000 addresses take half a second.
//
// What the kernel ends or others change meanwhile moves the rest of the list, which
// may then lack an element or have one twice: [Table.Look] tells for certain.
func (t *Table) Each(f func(*Block) error) error {
	d, err := elem.NewLister(Name)
	if err != nil {
		return explain("open nftables", err)
	}
	defer d.Close()
	read := func(name string, like Block, each func(*Block, func(*Block) error) func(*elem.Element) error) error {
		for _, family := range []string{"4", "6"} {
			b := like
			b.Source = netip.Prefix{}
			seen := each(&b, f)
			if err := d.Elements(name+family, seen); err != nil {
				return explain("read set "+name+family, err)
			}
			if err := seen(nil); err != nil {
				return err
			}
		}
		return nil
	}
	for r, name := range responseSets {
		like := Block{Response: Response(r)}
		if err := read(name, like, t.eachSource); err != nil {
			return err
		}
		if r == int(Fenced) {
			continue
		}
		if err := read(name+"_nets", like, eachPrefix); err != nil {
			return err
		}
	}
	return read(spareSet, Block{Spare: true}, t.eachSource)
}

// eachSource makes b of elements that are one source each, and hands it to f. The
// element nil ends the list.
func (t *Table) eachSource(b *Block, f func(*Block) error) func(*elem.Element) error {
	return func(e *elem.Element) error {
		if e == nil {
			return nil
		}
		a, ok := netip.AddrFromSlice(e.Key)
		if !ok {
			return nil
		}
		b.Source, b.For, b.Drops = t.sourceOf(a, b), e.Left, e.Packets
		return f(b)
	}
}

// sourceOf returns the source that an address stands for in the set of b.
func (t *Table) sourceOf(a netip.Addr, b *Block) netip.Prefix {
	if b.Response != Blocked || b.Spare {
		if whole, err := a.Prefix(t.cfg.prefix6()); a.Is6() && err == nil && whole.Addr() == a {
			return whole // no source has the address that begins a prefix (RFC 4291, 2.6.1)
		}
	}
	return netip.PrefixFrom(a, a.BitLen())
}

// eachPrefix makes b of the starts and ends of intervals. Those that are no prefix
// are not ours and left out.
func eachPrefix(b *Block, f func(*Block) error) func(*elem.Element) error {
	n := intervals{each: func(from, end netip.Addr, e *elem.Element) error {
		last := end.Prev()
		if !end.IsValid() { // it reaches the highest address
			last = netipx.PrefixLastIP(netip.PrefixFrom(from, 0))
		}
		p, ok := netipx.IPRangeFrom(from, last).Prefix()
		if !ok || p.IsSingleIP() {
			return nil
		}
		b.Source, b.For, b.Drops = p, e.Left, e.Packets
		return f(b)
	}}
	return n.next
}

// Intervals pairs starts and ends. The kernel's tree lists them from the highest
// key down (nft_rbtree_walk in net/netfilter/nft_set_rbtree.c); another kind of set
// may do otherwise, so both ways are understood.
type intervals struct {
	each  func(from, end netip.Addr, e *elem.Element) error
	last  netip.Addr // the key before, and
	above netip.Addr // the one before that is another
	down  bool       // the way, once there were two keys
	known bool
	open  elem.Element // a start whose end has not come yet
	opens bool
}

// next takes an element; nil ends the list.
func (n *intervals) next(e *elem.Element) error {
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
		return n.each(k, n.above, e)
	}
	n.open, n.opens = *e, true
	n.open.Key = bytes.Clone(e.Key)
	return nil
}

// close ends the start that is open, if one is.
func (n *intervals) close(end netip.Addr) error {
	if !n.opens {
		return nil
	}
	n.opens = false
	from, _ := netip.AddrFromSlice(n.open.Key)
	return n.each(from, end, &n.open)
}
