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

// A Service is a port with a waiting socket of this host.
type Service struct {
	Protocol uint8 // TCP or UDP
	Port     uint16
}

// Services returns the ports open to the outside, in order and each once: TCP
// listeners, and UDP sockets without a peer. Sockets on loopback do not count, nor
// does the port except, a trap's.
//
// It reads the calling thread's network namespace.
func Services(except uint16) ([]Service, error) {
	var out []Service
	for _, x := range []struct{ family, protocol, state uint8 }{
		{unix.AF_INET, unix.IPPROTO_TCP, tcpListen}, {unix.AF_INET6, unix.IPPROTO_TCP, tcpListen},
		{unix.AF_INET, unix.IPPROTO_UDP, tcpClose}, {unix.AF_INET6, unix.IPPROTO_UDP, tcpClose},
	} {
		b := make([]byte, sizeRequest)
		b[0], b[1] = x.family, x.protocol
		binary.NativeEndian.PutUint32(b[atStates:], 1<<x.state)
		req := nl.NewNetlinkRequest(nl.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP)
		req.AddRawData(b)
		err := req.ExecuteIter(unix.NETLINK_INET_DIAG, nl.SOCK_DIAG_BY_FAMILY, func(msg []byte) bool {
			if port, ok := waiting(msg); ok && port != except {
				out = append(out, Service{x.protocol, port})
			}
			return true
		})
		switch {
		case errors.Is(err, unix.ENOENT) && x.protocol == unix.IPPROTO_UDP:
			// The kernel has no udp_diag: UDP stays unknown.
		case err != nil && !errors.Is(err, netlink.ErrDumpInterrupted):
			return nil, fmt.Errorf("list listening sockets: %w", err)
		}
	}
	slices.SortFunc(out, func(a, b Service) int {
		return int(a.Protocol)<<16 + int(a.Port) - int(b.Protocol)<<16 - int(b.Port)
	})
	return slices.Compact(out), nil
}

// States of a listener, and of a UDP socket without a peer (include/net/tcp_states.h).
const (
	tcpClose  = 7
	tcpListen = 10
	atLocal   = 8 // of the message: id.idiag_src
)

// waiting reads the message of a waiting socket; ok is false if it is out of reach
// from outside.
func waiting(msg []byte) (port uint16, ok bool) {
	if len(msg) < sizeMessage {
		return 0, false
	}
	a := netip.AddrFrom16([16]byte(msg[atLocal:])).Unmap()
	if msg[0] == unix.AF_INET {
		a = netip.AddrFrom4([4]byte(msg[atLocal:]))
	}
	port = binary.BigEndian.Uint16(msg[atLocalPort:])
	return port, port != 0 && !a.IsLoopback()
}
