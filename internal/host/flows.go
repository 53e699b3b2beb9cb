// SPDX-License-Identifier: MIT

package host

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Flows returns the addresses at both ends of each living flow of connection
// tracking, delivered or forwarded: an open TCP connection, or a UDP exchange of
// more than two seconds. Flows to the local port except, a trap's, do not count.
//
// It reads the whole table, in the calling thread's network namespace, and needs
// CAP_NET_ADMIN.
func Flows(except uint16) (map[netip.Addr]bool, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, fmt.Errorf("read connection tracking: %w", err)
	}
	defer c.Close()
	msgs, err := c.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.NFNL_SUBSYS_CTNETLINK<<8 | ctGet,
			Flags: netlink.Request | netlink.Dump},
		Data: []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0},
	})
	if err != nil {
		return nil, fmt.Errorf("read connection tracking: %w", err)
	}
	out := map[netip.Addr]bool{}
	for _, m := range msgs {
		if f, ok := readFlow(m.Data); ok && f.lives(except) {
			out[f.from], out[f.to] = true, true
		}
	}
	return out, nil
}

// Numbers of include/uapi/linux/netfilter/nfnetlink_conntrack.h and
// nf_conntrack_common.h.
const (
	ctGet             = 1      // IPCTNL_MSG_CT_GET
	ctTupleOrig       = 1      // CTA_TUPLE_ORIG
	ctTupleReply      = 2      // CTA_TUPLE_REPLY
	ctStatus          = 3      // CTA_STATUS
	ctProtoInfo       = 4      // CTA_PROTOINFO
	ctAssured         = 1 << 2 // IPS_ASSURED
	ctTCPEstablished  = 3      // TCP_CONNTRACK_ESTABLISHED
	ctTCPCloseWait    = 5      // TCP_CONNTRACK_CLOSE_WAIT
	tupleIP           = 1
	tupleProto        = 2
	protoNumber       = 1
	protoSourcePort   = 2
	protoPort         = 3
	protoInfoTCP      = 1
	protoInfoTCPState = 1
)

// A flow is the needed part of one entry.
type flow struct {
	from, to netip.Addr // of its first packet
	fromPort uint16     // likewise
	toPort   uint16
	protocol uint8
	answerer uint16 // the answering port, behind address translation
	status   uint32
	state    uint8 // of TCP
}

func (f *flow) lives(except uint16) bool {
	if f.status&ctAssured == 0 || except != 0 && f.protocol == unix.IPPROTO_TCP && f.answerer == except {
		return false
	}
	if f.protocol != unix.IPPROTO_TCP || f.status&ctOffload != 0 {
		return true // of a flow in a flowtable the kernel lists no state, and it leaves that when it ends
	}
	return f.state >= ctTCPEstablished && f.state <= ctTCPCloseWait
}

// readFlow reads an entry's message.
func readFlow(b []byte) (f flow, ok bool) {
	if len(b) < 4 {
		return f, false
	}
	ad, err := netlink.NewAttributeDecoder(b[4:]) // behind struct nfgenmsg
	if err != nil {
		return f, false
	}
	ad.ByteOrder = binary.BigEndian
	for ad.Next() {
		switch ad.Type() {
		case ctTupleOrig:
			ad.Nested(func(ad *netlink.AttributeDecoder) error { return tuple(ad, &f, true) })
		case ctTupleReply:
			ad.Nested(func(ad *netlink.AttributeDecoder) error { return tuple(ad, &f, false) })
		case ctStatus:
			f.status = ad.Uint32()
		case ctProtoInfo:
			ad.Nested(func(ad *netlink.AttributeDecoder) error {
				for ad.Next() {
					if ad.Type() == protoInfoTCP {
						ad.Nested(func(ad *netlink.AttributeDecoder) error {
							for ad.Next() {
								if ad.Type() == protoInfoTCPState {
									f.state = ad.Uint8()
								}
							}
							return nil
						})
					}
				}
				return nil
			})
		}
	}
	return f, ad.Err() == nil && f.from.IsValid() && f.to.IsValid()
}

// tuple reads the addresses of the first direction, or the answering port of the reply.
func tuple(ad *netlink.AttributeDecoder, f *flow, first bool) error {
	for ad.Next() {
		switch ad.Type() {
		case tupleIP:
			ad.Nested(func(ad *netlink.AttributeDecoder) error {
				for ad.Next() {
					a, ok := netip.AddrFromSlice(ad.Bytes())
					switch {
					case !ok || !first:
					case ad.Type()%2 == 1: // CTA_IP_V4_SRC, CTA_IP_V6_SRC
						f.from = a
					default:
						f.to = a
					}
				}
				return nil
			})
		case tupleProto:
			ad.Nested(func(ad *netlink.AttributeDecoder) error {
				for ad.Next() {
					switch {
					case ad.Type() == protoNumber:
						f.protocol = ad.Uint8()
					case ad.Type() == protoSourcePort && first:
						f.fromPort = ad.Uint16()
					case ad.Type() == protoPort && first:
						f.toPort = ad.Uint16()
					case ad.Type() == protoSourcePort:
						f.answerer = ad.Uint16()
					}
				}
				return nil
			})
		}
	}
	return nil
}
