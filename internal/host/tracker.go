// SPDX-License-Identifier: MIT

package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"picket/internal/nlmsg"
)

// A Tracker asks connection tracking for one flow at a time. Make one with
// [OpenTracker]; it belongs to one goroutine.
type Tracker struct {
	fd     int
	buffer [2048]byte
}

// OpenTracker opens a socket in the calling thread's network namespace.
func OpenTracker() (*Tracker, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("ask connection tracking: %w", err)
	}
	return &Tracker{fd: fd}, nil
}

// Close ends it.
func (t *Tracker) Close() error { return unix.Close(t.fd) }

// A Tracked is what connection tracking knows of a flow. The zero Tracked is an unknown
// flow: there never was an entry, or a refusal has ended it (nf_conntrack_tcp_packet).
type Tracked struct {
	Known     bool
	Replied   bool // the other side has sent something
	Published bool // its destination was translated
}

// Flow asks for the flow of a packet, as the hook forward sees it: its destination may
// be translated already, its source not yet. Ports are 0 for protocols without ports.
// It needs CAP_NET_ADMIN.
func (t *Tracker) Flow(protocol uint8, from, to netip.AddrPort) (Tracked, error) {
	f, known, err := t.get(protocol, from, to)
	if err == nil && !known {
		f, known, err = t.get(protocol, to, from) // by the direction of its answers
	}
	if err != nil {
		return Tracked{}, fmt.Errorf("ask connection tracking: %w", err)
	}
	return Tracked{Known: known, Replied: f.status&ctSeenReply != 0,
		Published: f.status&ctTranslated != 0}, nil
}

const (
	ctSeenReply  = 1 << 1 // IPS_SEEN_REPLY
	ctTranslated = 1 << 5 // IPS_DST_NAT
)

func (t *Tracker) get(protocol uint8, from, to netip.AddrPort) (f flow, known bool, err error) {
	body, err := ctTuple(protocol, from, to)
	if err != nil {
		return f, false, err
	}
	m := netlink.Message{Header: netlink.Header{
		Length: uint32(unix.NLMSG_HDRLEN + len(body)),
		Type:   unix.NFNL_SUBSYS_CTNETLINK<<8 | ctGet, Flags: netlink.Request,
	}, Data: body}
	message, err := m.MarshalBinary()
	if err != nil {
		return f, false, err
	}
	if err := unix.Sendto(t.fd, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return f, false, err
	}
	// The kernel answers while it takes the question (ctnetlink_get_conntrack).
	n, _, err := unix.Recvfrom(t.fd, t.buffer[:], unix.MSG_DONTWAIT)
	if err != nil {
		return f, false, err
	}
	for kind, body := range nlmsg.Messages(t.buffer[:n]) {
		if kind == unix.NLMSG_ERROR {
			if errno := unix.Errno(-int32(binary.NativeEndian.Uint32(body))); errno != unix.ENOENT {
				return f, false, errno
			}
			return f, false, nil
		}
		if f, ok := readFlow(body); ok {
			return f, true, nil
		}
	}
	return f, false, errors.New("the answer cannot be read")
}

// ctTuple encodes the tuple of a direction of a flow; a message with it is about that
// flow.
func ctTuple(protocol uint8, from, to netip.AddrPort) ([]byte, error) {
	e := netlink.NewAttributeEncoder()
	e.ByteOrder = binary.BigEndian
	family := byte(unix.AF_INET)
	source, dest := uint16(1), uint16(2) // CTA_IP_V4_SRC, CTA_IP_V4_DST
	if from.Addr().Is6() {
		family, source, dest = unix.AF_INET6, 3, 4
	}
	e.Nested(ctTupleOrig, func(e *netlink.AttributeEncoder) error {
		e.Nested(tupleIP, func(e *netlink.AttributeEncoder) error {
			e.Bytes(source, from.Addr().AsSlice())
			e.Bytes(dest, to.Addr().AsSlice())
			return nil
		})
		e.Nested(tupleProto, func(e *netlink.AttributeEncoder) error {
			e.Uint8(protoNumber, protocol)
			if from.Port() != 0 || to.Port() != 0 {
				e.Uint16(protoSourcePort, from.Port())
				e.Uint16(protoPort, to.Port())
			}
			return nil
		})
		return nil
	})
	attrs, err := e.Encode()
	if err != nil {
		return nil, err
	}
	return append([]byte{family, unix.NFNETLINK_V0, 0, 0}, attrs...), nil
}
