// SPDX-License-Identifier: MIT

package nft

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"time"

	"github.com/mdlayher/netlink"
	"go4.org/netipx"
	"golang.org/x/sys/unix"
)

// Each has f see the blocks that the kernel has, one after the other, in no order,
// and ends with the first error of f. The block is f's until it returns. No more
// than 32 KiB of the list is in memory: 100,000 addresses take half a second.
//
// What the kernel ends or others change meanwhile moves the rest of the list, which
// may then lack an element or have one twice: [Table.Look] tells for certain.
func (t *Table) Each(f func(*Block) error) error {
	d, err := newDump()
	if err != nil {
		return explain("open nftables", err)
	}
	defer d.close()
	read := func(name string, like Block, each func(*Block, func(*Block) error) func(*element) error) error {
		for _, family := range []string{"4", "6"} {
			b := like
			b.Source = netip.Prefix{}
			seen := each(&b, f)
			if err := d.elements(name+family, seen); err != nil {
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
func (t *Table) eachSource(b *Block, f func(*Block) error) func(*element) error {
	return func(e *element) error {
		if e == nil {
			return nil
		}
		a, ok := netip.AddrFromSlice(e.key)
		if !ok {
			return nil
		}
		b.Source, b.For, b.Drops = t.sourceOf(a, b), e.left, e.packets
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
func eachPrefix(b *Block, f func(*Block) error) func(*element) error {
	n := intervals{each: func(from, end netip.Addr, e *element) error {
		last := end.Prev()
		if !end.IsValid() { // it reaches the highest address
			last = netipx.PrefixLastIP(netip.PrefixFrom(from, 0))
		}
		p, ok := netipx.IPRangeFrom(from, last).Prefix()
		if !ok || p.IsSingleIP() {
			return nil
		}
		b.Source, b.For, b.Drops = p, e.left, e.packets
		return f(b)
	}}
	return n.next
}

// Intervals pairs starts and ends. The kernel's tree lists them from the highest
// key down (nft_rbtree_walk in net/netfilter/nft_set_rbtree.c); another kind of set
// may do otherwise, so both ways are understood.
type intervals struct {
	each  func(from, end netip.Addr, e *element) error
	last  netip.Addr // the key before, and
	above netip.Addr // the one before that is another
	down  bool       // the way, once there were two keys
	known bool
	open  element // a start whose end has not come yet
	opens bool
}

// next takes an element; nil ends the list.
func (n *intervals) next(e *element) error {
	if e == nil {
		return n.close(netip.Addr{})
	}
	k, ok := netip.AddrFromSlice(e.key)
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
	case e.end:
		return nil
	case n.known && n.down:
		return n.each(k, n.above, e)
	}
	n.open, n.opens = *e, true
	n.open.key = bytes.Clone(e.key)
	return nil
}

// close ends the start that is open, if one is.
func (n *intervals) close(end netip.Addr) error {
	if !n.opens {
		return nil
	}
	n.opens = false
	from, _ := netip.AddrFromSlice(n.open.key)
	return n.each(from, end, &n.open)
}

// An element is one of a set, as the kernel lists it.
type element struct {
	key     []byte // the reader's
	end     bool   // the end of an interval, which it does not hold
	left    time.Duration
	packets uint64
}

// A dump is a socket that lists sets.
type dump struct {
	conn   *netlink.Conn
	buffer []byte
}

// window is what is read at once, and the most that the kernel gives: it makes
// datagrams as long as the longest buffer that was ever read into, 32 KiB at most
// (netlink_recvmsg and netlink_dump in net/netlink/af_netlink.c), and each of them
// costs it a walk from the set's beginning. The library reads into one page.
const window = 32 << 10

func newDump() (*dump, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, err
	}
	d := &dump{conn: conn, buffer: make([]byte, window)}
	// The first list is to come in wide datagrams too: one answer first.
	noop := netlink.Header{Type: netlink.Noop, Flags: netlink.Request | netlink.Acknowledge}
	if _, err := conn.Send(netlink.Message{Header: noop}); err == nil {
		_, err = d.receive()
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return d, nil
}

func (d *dump) close() { _ = d.conn.Close() }

// receive reads one datagram, whose bytes are there until the next is read.
func (d *dump) receive() (datagram []byte, err error) {
	raw, err := d.conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	n := 0
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		n, _, failed = unix.Recvfrom(int(fd), d.buffer, 0)
		return failed != unix.EAGAIN && failed != unix.EINTR
	})
	return d.buffer[:max(n, 0)], errors.Join(err, failed)
}

// elements has f see every element of a set.
func (d *dump) elements(set string, f func(*element) error) error {
	e := netlink.NewAttributeEncoder()
	e.String(unix.NFTA_SET_ELEM_LIST_TABLE, Name)
	e.String(unix.NFTA_SET_ELEM_LIST_SET, set)
	attrs, err := e.Encode()
	if err != nil {
		return err
	}
	_, err = d.conn.Send(netlink.Message{
		Header: netlink.Header{
			Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETSETELEM, Flags: netlink.Request | netlink.Dump,
		},
		Data: append([]byte{unix.NFPROTO_INET, unix.NFNETLINK_V0, 0, 0}, attrs...),
	})
	for done := false; err == nil && !done; {
		var datagram []byte
		if datagram, err = d.receive(); err == nil {
			done, err = listed(datagram, f)
		}
	}
	return err
}

// listed has f see the elements in a datagram, and reports whether the list is at
// its end.
func listed(datagram []byte, f func(*element) error) (done bool, err error) {
	for len(datagram) >= unix.NLMSG_HDRLEN {
		length := int(binary.NativeEndian.Uint32(datagram))
		if length < unix.NLMSG_HDRLEN || length > len(datagram) {
			return false, fmt.Errorf("message of %d bytes in a datagram of %d", length, len(datagram))
		}
		kind, body := binary.NativeEndian.Uint16(datagram[4:]), datagram[unix.NLMSG_HDRLEN:length]
		datagram = datagram[min((length+3)&^3, len(datagram)):]
		switch kind {
		case unix.NLMSG_DONE, unix.NLMSG_ERROR:
			if len(body) >= 4 {
				if errno := int32(binary.NativeEndian.Uint32(body)); errno < 0 {
					return true, unix.Errno(-errno)
				}
			}
			return true, nil
		case unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWSETELEM:
			if len(body) < 4 {
				return false, errors.New("message without a header")
			}
			if err := inMessage(body[4:], f); err != nil {
				return false, err
			}
		}
	}
	return false, nil
}

// inMessage has f see the elements of one message.
func inMessage(body []byte, f func(*element) error) error {
	for kind, list := range attributes(body) {
		if kind != unix.NFTA_SET_ELEM_LIST_ELEMENTS {
			continue
		}
		var e element
		for _, item := range attributes(list) {
			if e = decodeElement(item); e.key != nil {
				if err := f(&e); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// decodeElement reads one element. One without a key is the set's default.
func decodeElement(b []byte) (e element) {
	for kind, v := range attributes(b) {
		switch {
		case kind == unix.NFTA_SET_ELEM_KEY:
			for kind, key := range attributes(v) {
				if kind == unix.NFTA_DATA_VALUE {
					e.key = key
				}
			}
		case kind == unix.NFTA_SET_ELEM_FLAGS && len(v) == 4:
			e.end = binary.BigEndian.Uint32(v)&unix.NFT_SET_ELEM_INTERVAL_END != 0
		case kind == unix.NFTA_SET_ELEM_EXPIRATION && len(v) == 8:
			e.left = time.Duration(binary.BigEndian.Uint64(v)) * time.Millisecond
		case kind == unix.NFTA_SET_ELEM_EXPR:
			e.packets = countedPackets(v)
		}
	}
	return e
}

// countedPackets reads an expression, which of our sets is a counter.
func countedPackets(b []byte) (n uint64) {
	for kind, v := range attributes(b) {
		if kind != unix.NFTA_EXPR_DATA {
			continue
		}
		for kind, v := range attributes(v) {
			if kind == unix.NFTA_COUNTER_PACKETS && len(v) == 8 {
				n = binary.BigEndian.Uint64(v)
			}
		}
	}
	return n
}

// attributes are the attributes in b with their types, as far as they are whole.
func attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.NLA_HDRLEN {
			length := int(binary.NativeEndian.Uint16(b))
			kind := binary.NativeEndian.Uint16(b[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
			if length < unix.NLA_HDRLEN || length > len(b) || !yield(kind, b[unix.NLA_HDRLEN:length]) {
				return
			}
			b = b[min((length+3)&^3, len(b)):]
		}
	}
}
