// SPDX-License-Identifier: MIT

package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"picket/internal/nlmsg"
)

// datagram is the size of a read: the kernel fills at most 32 KiB of a dump
// (net/netlink/af_netlink.c, netlink_dump).
const datagram = 32 << 10

// dump asks the kernel for the objects that the request selects, and calls each with
// the type and the body of every answer, valid until each returns. The kernel filters
// by the request's own fields (strict checking, Linux 4.20). The whole reply is never
// in memory.
//
// A change during the dump is no error: the dump has the old and the new, and the
// watcher reads the notification.
func dump(kind uint16, request []byte, each func(kind uint16, body []byte)) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open rtnetlink socket: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1); err != nil {
		return fmt.Errorf("set NETLINK_GET_STRICT_CHK: %w", err)
	}
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(request)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	b = append(append(b, make([]byte, 8)...), request...)
	if err := unix.Sendto(fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("ask the kernel: %w", err)
	}
	for buffer := make([]byte, datagram); ; {
		n, _, err := unix.Recvfrom(fd, buffer, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read the kernel's answer: %w", err)
		}
		for kind, body := range nlmsg.Messages(buffer[:n]) {
			switch kind {
			case unix.NLMSG_DONE:
				return nil
			case unix.NLMSG_ERROR:
				if code := int32(binary.NativeEndian.Uint32(body)); code != 0 {
					return fmt.Errorf("dump: %w", unix.Errno(-code))
				}
			default:
				each(kind, body)
			}
		}
	}
}

// address reads an address of 4 or 16 bytes, without a zone. An unspecified one
// is invalid.
func address(b []byte) netip.Addr {
	a, ok := netip.AddrFromSlice(b)
	if a = a.Unmap(); !ok || a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() {
		return netip.Addr{}
	}
	return a
}
