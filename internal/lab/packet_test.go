// SPDX-License-Identifier: MIT

package lab

import (
	"encoding/binary"
	"hash/fnv"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// A packet is the bytes on the wire, from the IP header on.
type packet []byte

// segment is a TCP segment without its checksum.
type segment struct {
	from, to uint16
	seq      uint32
	flags    byte
	data     string
}

// The flags of the tests' segments.
const (
	syn    = 0x02
	rst    = 0x04
	synAck = 0x12
)

// knock returns a client's SYN to a port. Its source port and sequence number depend on the
// source: two sources with the same ones would be a scanner and its decoy.
func knock(src, dst netip.Addr, port uint16) packet {
	h := fnv.New32a()
	h.Write(src.AsSlice())
	own := h.Sum32()
	return tcp(src, dst, segment{from: 40000 + uint16(own%20000), to: port, seq: own + uint32(port),
		flags: syn})
}

// tcp returns a TCP packet.
func tcp(src, dst netip.Addr, s segment) packet {
	return ipPacket(src, dst, unix.IPPROTO_TCP, tcpBytes(src, dst, s))
}

func tcpBytes(src, dst netip.Addr, s segment) []byte {
	b := append(make([]byte, 20), s.data...)
	binary.BigEndian.PutUint16(b[0:], s.from)
	binary.BigEndian.PutUint16(b[2:], s.to)
	binary.BigEndian.PutUint32(b[4:], s.seq)
	b[12], b[13] = 5<<4, s.flags
	binary.BigEndian.PutUint16(b[14:], 1024)
	binary.BigEndian.PutUint16(b[16:], upperChecksum(src, dst, unix.IPPROTO_TCP, b))
	return b
}

// udp returns a UDP packet.
func udp(src, dst netip.Addr, from, to uint16, data string) packet {
	b := append(make([]byte, 8), data...)
	binary.BigEndian.PutUint16(b[0:], from)
	binary.BigEndian.PutUint16(b[2:], to)
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[6:], upperChecksum(src, dst, unix.IPPROTO_UDP, b))
	return ipPacket(src, dst, unix.IPPROTO_UDP, b)
}

// icmp returns an ICMP or ICMPv6 packet; it fills in the checksum of b, its third and fourth
// byte.
func icmp(src, dst netip.Addr, b []byte) packet {
	if src.Is4() {
		binary.BigEndian.PutUint16(b[2:], checksum(b))
		return ipPacket(src, dst, unix.IPPROTO_ICMP, b)
	}
	binary.BigEndian.PutUint16(b[2:], upperChecksum(src, dst, unix.IPPROTO_ICMPV6, b))
	return ipPacket(src, dst, unix.IPPROTO_ICMPV6, b)
}

// ipPacket puts an IP header of the family of src before a payload.
func ipPacket(src, dst netip.Addr, protocol byte, payload []byte) packet {
	if src.Is6() {
		b := make([]byte, 40, 40+len(payload))
		b[0], b[6], b[7] = 6<<4, protocol, 64
		binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
		copy(b[8:], src.AsSlice())
		copy(b[24:], dst.AsSlice())
		return append(b, payload...)
	}
	return ip4Fragment(src, dst, protocol, 0, false, 0, payload)
}

// ip4Fragment returns a fragment of an IPv4 packet; offset is in bytes. The kernel fills in the
// header's checksum (raw(7), IP_HDRINCL).
func ip4Fragment(src, dst netip.Addr, protocol byte, offset int, more bool, id uint16, data []byte) packet {
	b := make([]byte, 20, 20+len(data))
	b[0], b[8], b[9] = 0x45, 64, protocol
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(data)))
	binary.BigEndian.PutUint16(b[4:], id)
	frag := uint16(offset / 8)
	if more {
		frag |= 0x2000
	}
	binary.BigEndian.PutUint16(b[6:], frag)
	copy(b[12:], src.AsSlice())
	copy(b[16:], dst.AsSlice())
	return append(b, data...)
}

// Next-header values of the tests' extension headers (RFC 8200, 4).
const (
	hopByHop    = 0
	fragment    = 44
	destination = 60
)

// option returns an 8-byte hop-by-hop or destination options header of nothing but padding (RFC
// 8200, 4.2), and the rest behind it.
func option(next byte, rest []byte) []byte {
	return append([]byte{next, 0, 1, 4, 0, 0, 0, 0}, rest...)
}

// ip6Fragment returns a fragment header and its data; offset is in bytes.
func ip6Fragment(next byte, offset int, more bool, id uint32, data []byte) []byte {
	b := make([]byte, 8, 8+len(data))
	b[0] = next
	word := uint16(offset) // in units of 8 bytes, three bits up
	if more {
		word |= 1
	}
	binary.BigEndian.PutUint16(b[2:], word)
	binary.BigEndian.PutUint32(b[4:], id)
	return append(b, data...)
}

// upperChecksum is the checksum of TCP and UDP: over a pseudo-header and the bytes (RFC 9293,
// 3.1; RFC 8200, 8.1).
func upperChecksum(src, dst netip.Addr, protocol byte, b []byte) uint16 {
	pseudo := append(src.AsSlice(), dst.AsSlice()...)
	pseudo = binary.BigEndian.AppendUint32(pseudo, uint32(len(b)))
	pseudo = append(pseudo, 0, 0, 0, protocol)
	return checksum(append(pseudo, b...))
}

// checksum is the Internet checksum (RFC 1071).
func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// send puts packets on a host's wire unchanged, from any source.
func send(t testing.TB, h *Host, packets ...packet) {
	t.Helper()
	err := h.Do(func() error {
		for _, p := range packets {
			if err := sendOne(p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("send: %v", err)
	}
}

func sendOne(p packet) error {
	family, to := unix.AF_INET, unix.Sockaddr(nil)
	if p[0]>>4 == 6 {
		family, to = unix.AF_INET6, &unix.SockaddrInet6{Addr: [16]byte(p[24:40])}
	} else {
		to = &unix.SockaddrInet4{Addr: [4]byte(p[16:20])}
	}
	// IPPROTO_RAW: the header is ours, for both families.
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1); err != nil {
		return err
	}
	return unix.Sendto(fd, p, 0, to)
}
