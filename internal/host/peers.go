// SPDX-License-Identifier: MIT

package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Peers returns the addresses with a TCP connection to this host, half-closed ones
// included, in order and each once. Connections to the local port except do not
// count: a trap's are no sign of friendship. Neither does loopback.
//
// The kernel selects the connections (include/uapi/linux/inet_diag.h,
// idiag_states): TIME_WAIT and the like cost nothing. It reads the calling
// thread's network namespace.
func Peers(except uint16) ([]netip.Addr, error) {
	var out []netip.Addr
	var last netip.Addr
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		req := nl.NewNetlinkRequest(nl.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP)
		req.AddRawData(alive(family))
		err := req.ExecuteIter(unix.NETLINK_INET_DIAG, nl.SOCK_DIAG_BY_FAMILY, func(msg []byte) bool {
			// Connections of one peer often follow each other.
			if a, ok := peer(msg, except); ok && a != last {
				out, last = append(out, a), a
			}
			return true
		})
		// A dump during a change has old and new peers; the next one has
		// the rest.
		if errors.Is(err, unix.ENOENT) {
			return nil, fmt.Errorf("list TCP connections: %w: the kernel has no tcp_diag; "+
				"try \"modprobe tcp_diag\", or set ignore.connected = false", err)
		}
		if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
			return nil, fmt.Errorf("list TCP connections: %w", err)
		}
		if len(out) > enough {
			out = unique(out)
		}
	}
	return unique(out), nil
}

// enough is how many addresses make it worth removing doubles between the families.
const enough = 1 << 16

func unique(list []netip.Addr) []netip.Addr {
	slices.SortFunc(list, netip.Addr.Compare)
	return slices.Compact(list)
}

// Sizes and offsets in the kernel's structures (include/uapi/linux/inet_diag.h).
const (
	sizeRequest = 56 // struct inet_diag_req_v2
	sizeMessage = 72 // struct inet_diag_msg
	atStates    = 4  // of the request: idiag_states, a bit set
	atState     = 1  // of the message: idiag_state
	atLocalPort = 4  // of the message: id.idiag_sport, in network order
	atRemote    = 24 // id.idiag_dst
	atInode     = 68 // idiag_inode, 0 if no process has it (yet, or any more)

	// States in which data may still come or go (include/net/tcp_states.h).
	tcpEstablished = 1
	tcpFinWait1    = 4
	tcpFinWait2    = 5
	tcpCloseWait   = 8
)

// alive returns a request for the living TCP connections of a family.
func alive(family uint8) []byte {
	b := make([]byte, sizeRequest)
	b[0], b[1] = family, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(b[atStates:],
		1<<tcpEstablished|1<<tcpFinWait1|1<<tcpFinWait2|1<<tcpCloseWait)
	return b
}

// peer reads a message; ok is false if the connection does not count.
func peer(msg []byte, except uint16) (a netip.Addr, ok bool) {
	if len(msg) < sizeMessage {
		return a, false
	}
	if port := binary.BigEndian.Uint16(msg[atLocalPort:]); except != 0 && port == except {
		return a, false
	}
	if state := msg[atState]; (state == tcpFinWait1 || state == tcpFinWait2) &&
		binary.NativeEndian.Uint32(msg[atInode:]) == 0 {
		return a, false // closed in both directions
	}
	switch msg[0] {
	case unix.AF_INET:
		a = netip.AddrFrom4([4]byte(msg[atRemote:]))
	case unix.AF_INET6:
		a = netip.AddrFrom16([16]byte(msg[atRemote:])).Unmap()
	default:
		return a, false
	}
	return a, !a.IsLoopback() && !a.IsUnspecified()
}
