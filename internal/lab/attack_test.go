// SPDX-License-Identifier: MIT

package lab

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// An attack is one way of a scanner to avoid picket, from addresses of its own.
type attack struct {
	name    string
	config  string                     // "" is the embedded default
	before  func(a attackers) []packet // the first packets; answers to them do not count
	scan    func(a attackers) []packet
	most    int                        // the most ports that may answer
	names   func(a attackers) []string // words of the event
	only6   bool
	prepare func(t *testing.T, l *Lab)
}

// attackers are the addresses of one attack, and the target's.
type attackers struct {
	own, second, dst netip.Addr
	many             []netip.Addr
}

const (
	ack = 0x10
	fin = 0x01
)

const everyTrigger0 = `
[tcp]
modes = ["stealth", "advanced"]
trigger = 0
[udp]
trigger = 0
[ip]
trigger = 0
`

// ports1000 are the ports of a scan.
func ports1000(each func(port uint16) packet) (out []packet) {
	for p := uint16(1); p <= 1000; p++ {
		out = append(out, each(p))
	}
	return out
}

// clientSYN is a SYN as Linux sends it: only its port speaks against it.
func clientSYN(src, dst netip.Addr, from, to uint16) packet {
	b := make([]byte, 40)
	binary.BigEndian.PutUint16(b[0:], from)
	binary.BigEndian.PutUint16(b[2:], to)
	binary.BigEndian.PutUint32(b[4:], 77+uint32(to))
	b[12], b[13] = 10<<4, syn
	binary.BigEndian.PutUint16(b[14:], 64240)
	copy(b[20:], []byte{2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7})
	binary.BigEndian.PutUint16(b[16:], upperChecksum(src, dst, unix.IPPROTO_TCP, b))
	return ipPacket(src, dst, unix.IPPROTO_TCP, b)
}

func fullScan(a attackers) []packet {
	return ports1000(func(p uint16) packet { return clientSYN(a.own, a.dst, 40000+p, p) })
}

// repeated returns each packet n times.
func repeated(n int, list ...packet) (out []packet) {
	for _, p := range list {
		for range n {
			out = append(out, p)
		}
	}
	return out
}

// icmpError is an ICMP error about a datagram that the target never sent.
func icmpError(src, dst netip.Addr, port uint16) packet {
	inner := udp(dst, src, port, 9999, "twenty-four bytes of data")
	if src.Is6() {
		return icmp(src, dst, append([]byte{1, 4, 0, 0, 0, 0, 0, 0}, inner...))
	}
	return icmp(src, dst, append([]byte{3, 3, 0, 0, 0, 0, 0, 0}, inner[:28]...))
}

// chunk is an SCTP packet with one chunk (RFC 9260, 3).
func chunk(src, dst netip.Addr, port uint16, kind byte) packet {
	b := make([]byte, 32)
	binary.BigEndian.PutUint16(b[0:], 40000)
	binary.BigEndian.PutUint16(b[2:], port)
	b[12], b[15] = kind, 20
	binary.BigEndian.PutUint32(b[16:], 7) // the tag of an INIT
	b[23], b[25], b[27] = 1, 1, 1
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	return ipPacket(src, dst, unix.IPPROTO_SCTP, b)
}

// behind puts a destination options header before a SYN, one for each length in bytes.
func behind(a attackers, port uint16, lengths ...int) packet {
	b, next := clientSYN(a.own, a.dst, 40000+port, port)[40:], byte(unix.IPPROTO_TCP)
	for _, n := range lengths {
		h := make([]byte, n)
		h[0], h[1], h[2], h[3] = next, byte(n/8-1), 1, byte(n-4)
		b, next = append(h, b...), destination
	}
	return ipPacket(a.own, a.dst, next, b)
}

// told returns the words of an event about a source.
func told(a attackers) []string {
	if a.own.Is4() || a.own == Neighbour6(1) {
		return []string{"source=" + a.own.String() + " "}
	}
	p, _ := a.own.Prefix(64)
	return []string{"source=" + p.String() + " "}
}

const small = "[tcp]\nadvanced = \"1-65535\"\n[udp]\nadvanced = \"1-65535\"\n"

func attacks() []attack {
	late := func(each func(a attackers, port uint16) packet) func(a attackers) []packet {
		return func(a attackers) (out []packet) {
			for p := uint16(33000); p < 34000; p++ {
				out = append(out, each(a, p))
			}
			return out
		}
	}
	return []attack{
		{name: "four ports ten times each, by SYN", scan: fullScan, most: 40, names: told,
			before: func(a attackers) (out []packet) {
				for p := uint16(1); p <= 4; p++ {
					out = append(out, repeated(10, clientSYN(a.own, a.dst, 40000+p, p))...)
				}
				return out
			}},
		{name: "four ports ten times each, by UDP", scan: fullScan, most: 40, names: told,
			before: func(a attackers) (out []packet) {
				for p := uint16(1); p <= 4; p++ {
					out = append(out, repeated(10, udp(a.own, a.dst, 40000+p, p, "x"))...)
				}
				return out
			}},
		{name: "60 ICMP errors", scan: fullScan, most: 40, names: told,
			before: func(a attackers) (out []packet) {
				for p := range uint16(60) {
					out = append(out, icmpError(a.own, a.dst, p))
				}
				return out
			}},
		{name: "60 ICMP errors, trigger 0", config: everyTrigger0, scan: fullScan, most: 1, names: told,
			before: func(a attackers) (out []packet) {
				for p := range uint16(60) {
					out = append(out, icmpError(a.own, a.dst, p))
				}
				return out
			}},
		{name: "60 SCTP aborts", scan: fullScan, most: 40, names: told,
			before: func(a attackers) (out []packet) {
				for p := range uint16(60) {
					out = append(out, chunk(a.own, a.dst, p+1, 6))
				}
				return out
			}},
		{name: "the same SYNs from two addresses", most: 40, names: told,
			scan: func(a attackers) (out []packet) {
				for p := uint16(1); p <= 1000; p++ {
					out = append(out, clientSYN(a.own, a.dst, 40000+p, p),
						clientSYN(a.second, a.dst, 40000+p, p))
				}
				return out
			}},
		{name: "two addresses of the link", most: 40, only6: true, names: told,
			scan: func(a attackers) []packet {
				return ports1000(func(p uint16) packet {
					return clientSYN([]netip.Addr{Neighbour6(1), Neighbour6(2)}[p%2], a.dst, 40000+p, p)
				})
			}},
		{name: "SCTP beside TCP", most: 40, names: told, scan: func(a attackers) (out []packet) {
			for p := uint16(1); p <= 1000; p++ {
				out = append(out, chunk(a.own, a.dst, p, 1), clientSYN(a.own, a.dst, 40000+p, p))
			}
			return out
		}},
		{name: "a header of 104 bytes", most: 40, only6: true, names: told, scan: func(a attackers) []packet {
			return ports1000(func(p uint16) packet { return behind(a, p, 104) })
		}},
		{name: "seventeen headers", most: 40, only6: true, names: told, scan: func(a attackers) []packet {
			return ports1000(func(p uint16) packet { return behind(a, p, slices.Repeat([]int{8}, 17)...) })
		}},
		{name: "42 sources with 24 ports each", most: 200,
			names: func(attackers) []string { return []string{"pattern=distributed"} },
			scan: func(a attackers) (out []packet) {
				for i, src := range a.many {
					for p := range uint16(24) {
						out = append(out, clientSYN(src, a.dst, 40000+uint16(i)*100+p, 1+uint16(i)*24+p))
					}
				}
				return out
			}},
		{name: "late answers by UDP", config: small, most: 40, names: told,
			scan: late(func(a attackers, p uint16) packet {
				return udp(a.own, a.dst, 53, p, "an answer")
			})},
		{name: "late answers by ACK", config: small, most: 40, names: told,
			scan: late(func(a attackers, p uint16) packet {
				return tcp(a.own, a.dst, segment{from: 53, to: p, seq: uint32(p), flags: ack})
			})},
		{name: "UDP to the anycast address", most: 40, only6: true, names: told,
			prepare: func(t *testing.T, l *Lab) {
				if err := l.Target.Sysctl("net/ipv6/conf/all/forwarding", "1"); err != nil {
					t.Fatal(err)
				}
			}, scan: func(a attackers) []packet {
				anycast := netip.MustParseAddr("2001:db8::")
				return ports1000(func(p uint16) packet { return udp(a.own, anycast, 40000, p, "x") })
			}},
		{name: "a forged fill of the sighting set", scan: fullScan, most: 40, names: told,
			before: func(a attackers) (out []packet) {
				for i := range 70_000 {
					src := netip.AddrFrom4([4]byte{198, 18 + byte(i>>16), byte(i >> 8), byte(i)})
					if a.own.Is6() {
						src = netip.MustParseAddr(fmt.Sprintf("2001:db8:%x:%x::1", 0x100+i>>16, i&0xffff))
					}
					out = append(out, udp(src, a.dst, uint16(i), 1+uint16(i)%1000, "x"))
				}
				return out
			}},
	}
}

// TestAttacks: a scanner that fills the memory of the rules, uses other addresses or hides its
// ports gets no more answers than any other scanner, and is reported.
func TestAttacks(t *testing.T) {
	for i, x := range attacks() {
		for _, v6 := range []bool{false, true} {
			if x.only6 && !v6 {
				continue
			}
			t.Run(fmt.Sprintf("%s/IPv%d", x.name, map[bool]int{false: 4, true: 6}[v6]), func(t *testing.T) {
				l := newLab(t)
				if err := l.Target.Sysctl("net/ipv4/icmp_ratelimit", "0", "net/ipv6/icmp/ratelimit", "0",
					"net/ipv4/conf/all/rp_filter", "0", "net/ipv4/conf/eth0/rp_filter", "0"); err != nil {
					t.Fatal(err)
				}
				if err := l.Target.IP("route add default via 192.0.2.1",
					"route add default via 2001:db8::1"); err != nil {
					t.Fatal(err)
				}
				if x.prepare != nil {
					x.prepare(t, l)
				}
				a := attackers{own: Source4(1), second: Source4(2), dst: l.Target.V4}
				if v6 {
					a = attackers{own: Source6(1), second: Source6(2), dst: l.Target.V6}
				}
				if strings.HasPrefix(x.name, "two addresses of the link") {
					a.own = Neighbour6(1)
				}
				for n := range 42 {
					if src := netip.AddrFrom4([4]byte{198, 51, 100, byte(n + 1)}); !v6 {
						a.many = append(a.many, src)
					} else {
						a.many = append(a.many, netip.MustParseAddr(fmt.Sprintf("2001:db8:%x::1", n+0x200)))
					}
				}
				d := start(t, l.Target, Options{Config: x.config})
				if x.before != nil {
					pour(t, l.Attacker, x.before(a))
				}
				answered := answersTo(t, l, func() { pour(t, l.Attacker, x.scan(a)) })
				t.Logf("row %d: %d answered", i, answered)
				if answered > x.most {
					t.Errorf("%d of 1000 ports were answered, want %d at most", answered, x.most)
				}
				if _, err := d.WaitEvent(3*time.Second, x.names(a)...); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestFullAnswersStayDeaf: once forged SYN+ACKs have filled the set that bounds the resets of each
// source, a new source gets none: it would learn from them that this host is there.
func TestFullAnswersStayDeaf(t *testing.T) {
	l := newLab(t)
	start(t, l.Target, Options{})
	for name, f := range families(l, 1) {
		t.Run(name, func(t *testing.T) {
			var forged []packet
			for i := range 70_000 {
				src := netip.AddrFrom4([4]byte{198, 18 + byte(i>>16), byte(i >> 8), byte(i)})
				if f[0].Is6() {
					src = netip.MustParseAddr(fmt.Sprintf("2001:db8:%x:%x::1", 0x100+i>>16, i&0xffff))
				}
				forged = append(forged, tcp(src, f[1], segment{from: 80, to: uint16(i), flags: synAck}))
			}
			pour(t, l.Attacker, forged)
			n := answersTo(t, l, func() {
				pour(t, l.Attacker, ports1000(func(p uint16) packet {
					return tcp(f[0], f[1], segment{from: 80, to: p, flags: synAck})
				}))
			})
			if n > 20 {
				t.Errorf("%d of 1000 ports were answered, want 20 at most", n)
			}
		})
	}
}

// pour sends packets as fast as the host can.
func pour(t testing.TB, h *Host, packets []packet) {
	t.Helper()
	err := h.Do(func() error {
		fds := map[bool]int{}
		for _, v6 := range []bool{false, true} {
			family := unix.AF_INET
			if v6 {
				family = unix.AF_INET6
			}
			fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			fds[v6] = fd
		}
		for _, p := range packets {
			to := unix.Sockaddr(&unix.SockaddrInet4{Addr: [4]byte(p[16:20])})
			if p[0]>>4 == 6 {
				to = &unix.SockaddrInet6{Addr: [16]byte(p[24:40])}
			}
			if err := unix.Sendto(fds[p[0]>>4 == 6], p, 0, to); err != nil && err != unix.ENOBUFS {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("pour: %v", err)
	}
}

// answersTo counts the ports of the target that answer while f runs and a moment longer, by
// TCP, UDP, SCTP or ICMP.
func answersTo(t testing.TB, l *Lab, f func()) int { return answered(t, l, f, answeredPort) }

// answered counts the different names that of gives to frames from the target, while f runs and
// a moment longer. The name "" does not count.
func answered(t testing.TB, l *Lab, f func(), of func(frame []byte) string) int {
	t.Helper()
	var fd int
	err := l.Attacker.Do(func() (err error) {
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC,
			int(htons(unix.ETH_P_ALL))); err != nil {
			return err
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20); err != nil {
			return err
		}
		return unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 500_000})
	})
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	f()
	ports := map[string]bool{}
	for b := make([]byte, 2048); ; {
		n, from, err := unix.Recvfrom(fd, b, 0)
		if err == unix.EAGAIN {
			return len(ports)
		}
		if err == unix.EINTR { // the kernel never restarts a receive with a timeout (signal(7))
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if ll, ok := from.(*unix.SockaddrLinklayer); ok && ll.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		if p := of(b[:n]); p != "" {
			ports[p] = true
		}
	}
}

func htons(n uint16) uint16 { return n<<8 | n>>8 }

// answeredPort names the port answered by a frame; "" for none.
func answeredPort(b []byte) string {
	if len(b) < 14+40 {
		return ""
	}
	protocol, upper := b[14+9], b[14+20:]
	switch binary.BigEndian.Uint16(b[12:]) {
	case unix.ETH_P_IP:
	case unix.ETH_P_IPV6:
		protocol, upper = b[14+6], b[14+40:]
	default:
		return ""
	}
	switch {
	case len(upper) < 8:
		return ""
	case protocol == unix.IPPROTO_TCP, protocol == unix.IPPROTO_UDP, protocol == unix.IPPROTO_SCTP:
		return fmt.Sprintf("%d/%d", protocol, binary.BigEndian.Uint16(upper))
	case protocol == unix.IPPROTO_ICMP && upper[0] == 3 && len(upper) >= 8+24:
		return fmt.Sprintf("%d/%d", upper[8+9], binary.BigEndian.Uint16(upper[8+22:]))
	case protocol == unix.IPPROTO_ICMPV6 && (upper[0] == 1 || upper[0] == 4) && len(upper) >= 8+44:
		return fmt.Sprintf("%d/%d", upper[8+6], binary.BigEndian.Uint16(upper[8+42:]))
	}
	return ""
}

// TestTwoTriggers: if stealth and advanced have different triggers, each one holds, in any
// order of the ports. The lower trigger does not hold for the ports of the other mode.
func TestTwoTriggers(t *testing.T) {
	l := newLab(t)
	d := start(t, l.Target, Options{Config: "[tcp]\nmodes = [\"stealth\", \"advanced\"]\n" +
		"trigger = { stealth = 5, advanced = 25 }\nstealth = \"1-100\"\nadvanced = \"1-1000\"\n[detect]\n" +
		"score = \"log\"\n"})
	scan := func(a attackers, from, to uint16) (out []packet) {
		for p := from; p <= to; p++ {
			out = append(out, clientSYN(a.own, a.dst, 40000+p, p))
		}
		return out
	}
	for i, x := range []struct {
		name  string
		scan  func(a attackers) []packet
		want  int
		whole bool // and no response follows
	}{
		{"stealth", func(a attackers) []packet { return scan(a, 1, 100) }, 5, false},
		{"advanced, then stealth", func(a attackers) []packet {
			return append(scan(a, 101, 110), scan(a, 1, 100)...)
		}, 15, false},
		{"advanced", func(a attackers) []packet { return scan(a, 101, 1000) }, 25, false},
		{"few of both", func(a attackers) []packet {
			return append(scan(a, 1, 3), scan(a, 101, 110)...)
		}, 13, true},
	} {
		for name, f := range families(l, i+1) {
			t.Run(x.name+"/"+name, func(t *testing.T) {
				n := answersTo(t, l, func() { pour(t, l.Attacker, x.scan(attackers{own: f[0], dst: f[1]})) })
				// The engine may decide before the rules do: it counts the ports of both modes
				// together.
				if n > x.want || n < min(x.want, 10) {
					t.Errorf("%d ports answered, want %d", n, x.want)
				}
				if x.whole {
					untouched(t, d, f[0])
				}
			})
		}
	}
}
