// SPDX-License-Identifier: MIT

package trap

import (
	"encoding/binary"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// originalDestination is SO_ORIGINAL_DST at IPPROTO_IP and IP6T_SO_ORIGINAL_DST
// at IPPROTO_IPV6 (include/uapi/linux/netfilter_ipv4.h,
// netfilter_ipv6/ip6_tables.h): the destination before a redirection.
const originalDestination = 80

// answerOnce has the kernel repeat an unacknowledged SYN+ACK once, and not five times:
// the SYN may be sent in a victim's name, to flood the victim with answers.
// (reqsk_timer_handler in net/ipv4/inet_connection_sock.c takes TCP_SYNCNT for that,
// if it is set, and net.ipv4.tcp_synack_retries if not.)
func answerOnce(l net.Listener) {
	sc, ok := l.(syscall.Conn)
	if !ok {
		return
	}
	if raw, err := sc.SyscallConn(); err == nil {
		// If the kernel refuses, it repeats as often as for any service.
		_ = raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_SYNCNT, 1)
		})
	}
}

// dialled returns the address and port that the peer of c asked for: the local ones if
// the connection was not redirected.
func dialled(c net.Conn) netip.AddrPort {
	local := addrPort(c.LocalAddr())
	original := local
	sc, ok := c.(syscall.Conn)
	if !ok {
		return local
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return local
	}
	read := original6
	if local.Addr().Is4() {
		read = original4
	}
	err = raw.Control(func(fd uintptr) {
		if a, err := read(int(fd)); err == nil {
			original = a
		}
	})
	if err != nil {
		return local
	}
	return original
}

// original4 works on IPv6 sockets with IPv4-mapped addresses too. The structure that
// it borrows from x/sys has room for the kernel's struct sockaddr_in: family, port,
// address.
func original4(fd int) (netip.AddrPort, error) {
	m, err := unix.GetsockoptIPv6Mreq(fd, unix.IPPROTO_IP, originalDestination)
	if err != nil {
		return netip.AddrPort{}, err
	}
	b := m.Multiaddr
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), binary.BigEndian.Uint16(b[2:4])), nil
}

// original6 borrows a structure that begins with a struct sockaddr_in6. Its port is
// typed as a native number, but is in network order.
func original6(fd int) (netip.AddrPort, error) {
	m, err := unix.GetsockoptIPv6MTUInfo(fd, unix.IPPROTO_IPV6, originalDestination)
	if err != nil {
		return netip.AddrPort{}, err
	}
	port := binary.NativeEndian.AppendUint16(nil, m.Addr.Port)
	return netip.AddrPortFrom(netip.AddrFrom16(m.Addr.Addr), binary.BigEndian.Uint16(port)), nil
}

// addrPort converts the address of a TCP socket; IPv4-mapped becomes IPv4, and
// a zone is left out.
func addrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := t.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap().WithZone(""), p.Port())
}
