// SPDX-License-Identifier: MIT

package lab

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A made SYN is a SYN as a certain program makes it.
type made struct {
	name    string
	refused bool
	v6      bool
	window  uint16
	options string
	ttl     byte
	df      bool
	id      uint16
	from    uint16
}

// Options of SYNs: MSS alone, those of Windows, those of Linux.
const (
	mssAlone  = "\x02\x04\x05\xb4"
	asWindows = mssAlone + "\x01\x03\x03\x08\x01\x01\x04\x02"
	asLinux   = mssAlone + "\x04\x02\x08\x0a\x00\x00\x00\x01\x00\x00\x00\x00\x01\x03\x03\x07"
)

// madeSYNs are SYNs of raw scanners, and of clients that look like one. A SYN with one hop left
// is not forwarded to a published port.
var madeSYNs = []made{
	{name: "masscan", refused: true, window: 1024, ttl: 245},
	{name: "masscan, IPv6", refused: true, v6: true, window: 1024, ttl: 245},
	{name: "masscan's child", refused: true, window: 1025, options: mssAlone, ttl: 240},
	{name: "nmap", refused: true, window: 1024, options: mssAlone, ttl: 41},
	{name: "nmap, IPv6", refused: true, v6: true, window: 1024, options: mssAlone, ttl: 241},
	{name: "nmap, near its last hop", refused: true, window: 1024, options: mssAlone, ttl: 5},
	{name: "nmap, IPv6, near", refused: true, v6: true, window: 1024, options: mssAlone, ttl: 2},
	{name: "zmap 2", refused: true, window: 65535, ttl: 245, id: 54321},
	{name: "zmap 4.1", refused: true, window: 65535, options: mssAlone, ttl: 245, id: 7},
	{name: "zmap 4.1.1", refused: true, window: 65535, options: asWindows, ttl: 245, id: 7},
	{name: "54321", refused: true, window: 65535, options: asLinux, ttl: 60, id: 54321},
	{name: "Linux", window: 64240, options: asLinux, ttl: 64, df: true},
	{name: "Linux, IPv6", v6: true, window: 64800, options: asLinux, ttl: 64},
	{name: "Windows", window: 65535, options: asWindows, ttl: 120, df: true},
	{name: "Windows, DF cleared", window: 65535, options: asWindows, ttl: 120},
	{name: "lwIP", window: 5840, options: mssAlone, ttl: 255},
	{name: "lwIP, large", window: 65535, options: mssAlone, ttl: 255, from: 49153},
	{name: "lwIP, scaled", window: 65535, options: asWindows, ttl: 255, from: 49153},
	{name: "Microchip", window: 1024, options: "\x02\x04\x02\x18", ttl: 100},
	{name: "W5500, 1 KiB", window: 1024, options: mssAlone, ttl: 128, df: true},
	{name: "Cisco IOS", window: 4128, options: "\x02\x04\x02\x18", ttl: 255},
	{name: "tcptraceroute", ttl: 12},
	{name: "traceroute, near", window: 1024, ttl: 5},
	{name: "a stack without options", window: 1024, ttl: 64},
}

// bytes returns the SYN on the wire, to port 80.
func (m *made) bytes(src, dst netip.Addr, seq uint32) packet {
	b := append(make([]byte, 20), m.options...)
	from := m.from
	if from == 0 {
		from = 40000 + uint16(seq)
	}
	binary.BigEndian.PutUint16(b, from)
	binary.BigEndian.PutUint16(b[2:], 80)
	binary.BigEndian.PutUint32(b[4:], seq)
	b[12], b[13] = byte(len(b)/4)<<4, syn
	binary.BigEndian.PutUint16(b[14:], m.window)
	binary.BigEndian.PutUint16(b[16:], upperChecksum(src, dst, unix.IPPROTO_TCP, b))
	p := ipPacket(src, dst, unix.IPPROTO_TCP, b)
	if m.v6 {
		p[7] = m.ttl
		return p
	}
	p[8] = m.ttl
	binary.BigEndian.PutUint16(p[4:], m.id)
	if m.df {
		p[6] |= 0x40
	}
	return p
}

// TestDoor: a served port refuses the SYNs of raw scanners, and no others.
func TestDoor(t *testing.T) {
	l := newLab(t)
	listen(t, l.Target, "tcp", 80)
	doorIsClosed(t, l)
}

// TestDoorOfPublishedPort: a port that is published to a container refuses them too.
func TestDoorOfPublishedPort(t *testing.T) {
	l := newLab(t)
	c, err := l.AddContainer()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Target.NFT(`table inet publish {
	chain prerouting {
		type nat hook prerouting priority dstnat
		iifname "eth0" meta nfproto ipv4 tcp dport 80 dnat ip to 198.51.100.2:80
		iifname "eth0" meta nfproto ipv6 tcp dport 80 dnat ip6 to [2001:db8:c::2]:80
	}
}`); err != nil {
		t.Fatal(err)
	}
	listen(t, c, "tcp", 80)
	doorIsClosed(t, l)
}

// doorIsClosed starts picket on the target, and checks what port 80 refuses.
func doorIsClosed(t *testing.T, l *Lab) {
	t.Helper()
	start(t, l.Target, Options{})
	count := func() int {
		out, err := l.Target.Run("nft", "list", "counter", "inet", "picket", "kept_door")
		if err != nil {
			t.Fatal(err)
		}
		words := strings.Fields(out[strings.Index(out, "packets"):])
		n, err := strconv.Atoi(words[1])
		if err != nil {
			t.Fatal(out)
		}
		return n
	}
	for i := range madeSYNs {
		m := &madeSYNs[i]
		src, dst := Source4(1+i), l.Target.V4
		if m.v6 {
			src, dst = Source6(1+i), l.Target.V6
		}
		before, want := count(), 1 // one: the witness, a SYN of masscan
		if m.refused {
			want = 2
		}
		send(t, l.Attacker, m.bytes(src, dst, uint32(i)),
			madeSYNs[0].bytes(Source4(100), l.Target.V4, uint32(i)))
		got := 0
		for end := time.Now().Add(5 * time.Second); got < want && time.Now().Before(end); {
			got = count() - before
		}
		if got != want {
			t.Errorf("%s: %d of two packets refused, want %d", m.name, got, want)
		}
	}
}
