// SPDX-License-Identifier: MIT

package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	ctDelete  = 2       // IPCTNL_MSG_CT_DELETE
	ctOffload = 1 << 14 // IPS_OFFLOAD
)

// CutOffloaded ends the flows in flowtables to and from some addresses. A flowtable
// bypasses every hook after ingress; without its entry in connection tracking a flow
// leaves it within a second (nf_flow_offload_gc_step in
// net/netfilter/nf_flow_table_core.c), and its packets meet the rules. It returns how
// many it ended, works in the calling thread's network namespace, and needs
// CAP_NET_ADMIN.
func CutOffloaded(of func(netip.Addr) bool) (int, error) { return cut(ctOffload, of) }

// cut ends flows with any of the bits in status.
func cut(status uint32, of func(netip.Addr) bool) (n int, err error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return 0, fmt.Errorf("cut flows: %w", err)
	}
	defer c.Close()
	e := netlink.NewAttributeEncoder()
	e.ByteOrder = binary.BigEndian
	e.Uint32(ctStatus, status) // since Linux 5.15 the kernel lists no others
	attrs, err := e.Encode()
	if err != nil {
		return 0, fmt.Errorf("cut flows: %w", err)
	}
	msgs, err := c.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.NFNL_SUBSYS_CTNETLINK<<8 | ctGet,
			Flags: netlink.Request | netlink.Dump},
		Data: append([]byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0}, attrs...),
	})
	if err != nil {
		return 0, fmt.Errorf("cut flows: %w", err)
	}
	for _, m := range msgs {
		f, ok := readFlow(m.Data)
		if !ok || f.status&status == 0 || !of(f.from) && !of(f.to) {
			continue
		}
		data, err := ctTuple(f.protocol, netip.AddrPortFrom(f.from, f.fromPort), netip.AddrPortFrom(f.to,
			f.toPort))
		if err == nil {
			_, err = c.Execute(netlink.Message{Header: netlink.Header{
				Type: unix.NFNL_SUBSYS_CTNETLINK<<8 | ctDelete, Flags: netlink.Request | netlink.Acknowledge,
			}, Data: data})
		}
		switch {
		case errors.Is(err, unix.ENOENT): // it has ended
		case err != nil:
			return n, fmt.Errorf("cut flows: %w", err)
		default:
			n++
		}
	}
	return n, nil
}
