// SPDX-License-Identifier: MIT

package nft

import (
	"net/netip"

	"go4.org/netipx"

	"picket/nft/internal/elem"
)

// Each calls f for each block in the kernel, in no order, until f fails. The block is
// f's until it returns. No more than 32 KiB of the list is in memory: 100,000
// addresses take half a second.
//
// A change during the call moves the rest of the list: a block may then be missing
// or come twice. [Table.Look] is certain.
func (t *Table) Each(f func(*Block) error) error {
	d, err := elem.NewLister(Name)
	if err != nil {
		return explain("open nftables", err)
	}
	defer d.Close()
	read := func(name string, like Block,
		each func(*Block, func(*Block) error) func(*elem.Element) error) error {
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

// eachSource turns elements of one source each into b, and hands it to f. A nil
// element ends the list.
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

// eachPrefix turns the starts and ends of intervals into b. It leaves out intervals
// that are no prefix: they are not ours.
func eachPrefix(b *Block, f func(*Block) error) func(*elem.Element) error {
	n := elem.Intervals{Each: func(from, end netip.Addr, e *elem.Element) error {
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
	return n.Next
}
