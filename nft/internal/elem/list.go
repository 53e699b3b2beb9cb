// SPDX-License-Identifier: MIT

package elem

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"picket/internal/nlmsg"
)

// An Element is one of a set, as the kernel lists it.
type Element struct {
	Key     []byte        // the reader's, until the function that sees the element returns
	End     bool          // the end of an interval, the first key after it
	Left    time.Duration // until it ends; 0: never
	Packets uint64        // by its counter, 0 without one
}

// A Lister is a socket that lists sets. It is for one goroutine.
type Lister struct {
	table  string
	conn   *netlink.Conn
	buffer []byte
	item   Element
}

// window is the size of a read. The kernel makes datagrams as long as the longest buffer
// so far, 32 KiB at most (netlink_recvmsg and netlink_dump in
// net/netlink/af_netlink.c), and for each it walks the set from the start. The library
// reads into one page.
const window = 32 << 10

// NewLister returns a lister of the sets of a table of the family inet.
func NewLister(table string) (*Lister, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, err
	}
	l := &Lister{table: table, conn: conn, buffer: make([]byte, window)}
	// A first answer widens the datagrams of the first list too.
	noop := netlink.Header{Type: netlink.Noop, Flags: netlink.Request | netlink.Acknowledge}
	if _, err = conn.Send(netlink.Message{Header: noop}); err == nil {
		_, err = l.receive()
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return l, nil
}

// Close ends the socket.
func (l *Lister) Close() error { return l.conn.Close() }

// receive reads one datagram. Its bytes are valid until the next call.
func (l *Lister) receive() (datagram []byte, err error) {
	raw, err := l.conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	n := 0
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		n, _, failed = unix.Recvfrom(int(fd), l.buffer, 0)
		return failed != unix.EAGAIN && failed != unix.EINTR
	})
	return l.buffer[:max(n, 0)], errors.Join(err, failed)
}

// Elements calls f for every element of a set, until f fails. An error of the kernel is
// a syscall.Errno: ENOENT if there is no such set.
func (l *Lister) Elements(set string, f func(*Element) error) error {
	e := netlink.NewAttributeEncoder()
	e.String(unix.NFTA_SET_ELEM_LIST_TABLE, l.table)
	e.String(unix.NFTA_SET_ELEM_LIST_SET, set)
	attrs, err := e.Encode()
	if err != nil {
		return err
	}
	_, err = l.conn.Send(netlink.Message{
		Header: netlink.Header{
			Type:  unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETSETELEM,
			Flags: netlink.Request | netlink.Dump,
		},
		Data: append([]byte{unix.NFPROTO_INET, unix.NFNETLINK_V0, 0, 0}, attrs...),
	})
	for done := false; err == nil && !done; {
		var datagram []byte
		if datagram, err = l.receive(); err == nil {
			done, err = listed(datagram, &l.item, f)
		}
	}
	return err
}

// listed calls f for the elements in a datagram, each in e, and reports whether the
// list has ended.
func listed(datagram []byte, e *Element, f func(*Element) error) (done bool, err error) {
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
			if err := inMessage(body[4:], e, f); err != nil {
				return false, err
			}
		}
	}
	return false, nil
}

// inMessage calls f for the elements of one message, each in e.
func inMessage(body []byte, e *Element, f func(*Element) error) error {
	for kind, list := range nlmsg.Attributes(body) {
		if kind != unix.NFTA_SET_ELEM_LIST_ELEMENTS {
			continue
		}
		for _, item := range nlmsg.Attributes(list) {
			if *e = decodeElement(item); e.Key != nil {
				if err := f(e); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// decodeElement reads one element. One without a key is the set's default.
func decodeElement(b []byte) (e Element) {
	for kind, v := range nlmsg.Attributes(b) {
		switch {
		case kind == unix.NFTA_SET_ELEM_KEY:
			for kind, key := range nlmsg.Attributes(v) {
				if kind == unix.NFTA_DATA_VALUE {
					e.Key = key
				}
			}
		case kind == unix.NFTA_SET_ELEM_FLAGS && len(v) == 4:
			e.End = binary.BigEndian.Uint32(v)&unix.NFT_SET_ELEM_INTERVAL_END != 0
		case kind == unix.NFTA_SET_ELEM_EXPIRATION && len(v) == 8:
			e.Left = time.Duration(binary.BigEndian.Uint64(v)) * time.Millisecond
		case kind == unix.NFTA_SET_ELEM_EXPR:
			e.Packets = countedPackets(v)
		}
	}
	return e
}

// countedPackets reads an element's expression: in our sets, a counter.
func countedPackets(b []byte) (n uint64) {
	for kind, v := range nlmsg.Attributes(b) {
		if kind != unix.NFTA_EXPR_DATA {
			continue
		}
		for kind, v := range nlmsg.Attributes(v) {
			if kind == unix.NFTA_COUNTER_PACKETS && len(v) == 8 {
				n = binary.BigEndian.Uint64(v)
			}
		}
	}
	return n
}
