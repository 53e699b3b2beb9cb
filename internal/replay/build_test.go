// SPDX-License-Identifier: MIT

package replay

import (
	"encoding/binary"
	"net/netip"
)

// A sent is a packet of a capture made up by a test.
type sent struct {
	at int64 // milliseconds
	b  []byte
}

// pcap writes packets as tcpdump does, in microseconds and little endian.
func pcap(link uint32, packets ...sent) []byte {
	b := pcapHeader(link)
	for _, p := range packets {
		b = pcapRecord(b, p.at*1e6, p.b)
	}
	return b
}

func pcapHeader(link uint32) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	b = append(b, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, 1<<18)
	return binary.LittleEndian.AppendUint32(b, link)
}

func pcapRecord(b []byte, at int64, data []byte) []byte {
	for _, v := range [...]uint32{uint32(at / 1e9), uint32(at % 1e9 / 1000), uint32(len(data)),
		uint32(len(data))} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return append(b, data...)
}

// ip wraps rest in an IP header of the version of the addresses.
func ip(source, dest string, protocol byte, rest []byte) []byte {
	s, d := netip.MustParseAddr(source), netip.MustParseAddr(dest)
	var b []byte
	if s.Is4() {
		n := 20 + len(rest)
		b = []byte{0x45, 0, byte(n >> 8), byte(n), 0, 9, 0, 0, 64, protocol, 0, 0}
	} else {
		b = []byte{0x60, 0, 0, 0, byte(len(rest) >> 8), byte(len(rest)), protocol, 64}
	}
	b = append(append(b, s.AsSlice()...), d.AsSlice()...)
	return append(b, rest...)
}

func ports(sport, port uint16) []byte {
	return []byte{byte(sport >> 8), byte(sport), byte(port >> 8), byte(port)}
}

// tcp is a segment with flags and no options.
func tcp(source, dest string, sport, port uint16, flags byte) []byte {
	return ip(source, dest, 6, append(ports(sport, port), 0, 0, 0, 7, 0, 0, 0, 0, 0x50, flags, 4, 0, 0, 0, 0,
		0))
}

func udp(source, dest string, sport, port uint16) []byte {
	return ip(source, dest, 17, append(ports(sport, port), 0, 8, 0, 0))
}

// icmp is a message of 8 bytes with identifier 7, and what it quotes.
func icmp(source, dest string, typ, code byte, quoted ...byte) []byte {
	protocol := byte(1)
	if netip.MustParseAddr(source).Is6() {
		protocol = 58
	}
	return ip(source, dest, protocol, append([]byte{typ, code, 0, 0, 0, 7, 0, 1}, quoted...))
}

// fragment4 is the piece of data from offset on, of the datagram id.
func fragment4(source, dest string, id uint16, data []byte, offset, n int) []byte {
	b := ip(source, dest, 6, data[offset:min(len(data), offset+n)])
	word := uint16(offset / 8)
	if offset+n < len(data) {
		word |= 0x2000
	}
	binary.BigEndian.PutUint16(b[4:], id)
	binary.BigEndian.PutUint16(b[6:], word)
	return b
}
