// SPDX-License-Identifier: MIT

package lab

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestProbesInDisguise: fragments, extension headers, a link-local or a second address hide a
// probe from PortSentry 2, but not from picket (docs/portsentry.md, defects 7 and 8).
func TestProbesInDisguise(t *testing.T) {
	l := newLab(t)
	d := start(t, l.Target, Options{Config: hotConfig})
	probe := segment{from: 40000, to: 13, seq: 1, flags: syn}
	four, six := l.Target.V4, l.Target.V6
	// bytes returns the probe's TCP header from a source.
	bytes := func(src netip.Addr) []byte { return tcpBytes(src, six, probe) }
	v6 := func(src netip.Addr, next byte, b []byte) packet { return ipPacket(src, six, next, b) }
	for _, test := range []struct {
		name      string
		technique string
		src       netip.Addr
		packets   func(src netip.Addr) []packet
	}{
		{"IPv4 8-byte fragments", "syn", Source4(1), func(src netip.Addr) []packet {
			b := tcpBytes(src, four, probe)
			return []packet{
				ip4Fragment(src, four, unix.IPPROTO_TCP, 0, true, 7, b[:8]),
				ip4Fragment(src, four, unix.IPPROTO_TCP, 8, true, 7, b[8:16]),
				ip4Fragment(src, four, unix.IPPROTO_TCP, 16, false, 7, b[16:]),
			}
		}},
		{"IPv6 fragments", "syn", Source6(1), func(src netip.Addr) []packet {
			p := probe
			p.data = "sixteen bytes..." // the first fragment must hold the header
			b := tcpBytes(src, six, p)
			return []packet{
				v6(src, fragment, ip6Fragment(unix.IPPROTO_TCP, 0, true, 7, b[:24])),
				v6(src, fragment, ip6Fragment(unix.IPPROTO_TCP, 24, true, 7, b[24:32])),
				v6(src, fragment, ip6Fragment(unix.IPPROTO_TCP, 32, false, 7, b[32:])),
			}
		}},
		// A first fragment without the whole header (RFC 8200, 4.5) is never reassembled, and
		// the kernel passes its fragments on. It is a probe all the same.
		{"IPv6 8-byte fragments", "fragment", Source6(8), func(src netip.Addr) []packet {
			b := bytes(src)
			return []packet{
				v6(src, fragment, ip6Fragment(unix.IPPROTO_TCP, 0, true, 8, b[:8])),
				v6(src, fragment, ip6Fragment(unix.IPPROTO_TCP, 8, true, 8, b[8:16])),
				v6(src, fragment, ip6Fragment(unix.IPPROTO_TCP, 16, false, 8, b[16:])),
			}
		}},
		{"IPv6 atomic fragment", "syn", Source6(2), func(src netip.Addr) []packet {
			return []packet{v6(src, fragment, ip6Fragment(unix.IPPROTO_TCP, 0, false, 7, bytes(src)))}
		}},
		{"IPv6 hop-by-hop options", "syn", Source6(3), func(src netip.Addr) []packet {
			return []packet{v6(src, hopByHop, option(unix.IPPROTO_TCP, bytes(src)))}
		}},
		{"IPv6 destination options", "syn", Source6(4), func(src netip.Addr) []packet {
			return []packet{v6(src, destination, option(unix.IPPROTO_TCP, bytes(src)))}
		}},
		{"IPv6 both options", "syn", Source6(5), func(src netip.Addr) []packet {
			return []packet{v6(src, hopByHop, option(destination, option(unix.IPPROTO_TCP, bytes(src))))}
		}},
		{"IPv6 long destination options", "syn", Source6(9), func(src netip.Addr) []packet {
			b := append(make([]byte, 264), bytes(src)...)
			b[0], b[1] = unix.IPPROTO_TCP, 264/8-1
			for at := 2; at < 264; at += 131 { // two unknown options that are skipped
				b[at], b[at+1] = 0x1e, 129
			}
			return []packet{v6(src, destination, b)}
		}},
		{"IPv6 options in an atomic fragment", "syn", Source6(6), func(src netip.Addr) []packet {
			return []packet{v6(src, fragment,
				ip6Fragment(destination, 0, false, 7, option(unix.IPPROTO_TCP, bytes(src))))}
		}},
		{"IPv4 second address", "syn", Source4(2), func(src netip.Addr) []packet {
			return []packet{tcp(src, l.Target.Second4, probe)}
		}},
		{"IPv6 second address", "syn", Source6(7), func(src netip.Addr) []packet {
			return []packet{tcp(src, l.Target.Second6, probe)}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			send(t, l.Attacker, test.packets(test.src)...)
			b, err := d.WaitBlock(test.src, 3*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			if b.Technique != test.technique {
				t.Errorf("named %q, want %q", b.Technique, test.technique)
			}
		})
	}
}

// TestLinkLocalScan: a neighbour that scans from its link-local address is blocked by that
// address only, as everybody on the link is in its /64.
func TestLinkLocalScan(t *testing.T) {
	l := newLab(t)
	d := start(t, l.Target, Options{Config: hotConfig})
	listen(t, l.Target, "tcp", 80)
	const bystander = "fe80::b"
	if err := l.Attacker.IP("addr add " + bystander + "/64 dev eth0"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Attacker.Run("nmap", "-6", "-n", "-Pn", "-sS", "--max-retries", "0", "-e", l.Attacker.Dev,
		"-S", l.Attacker.LinkLocal.String(), "-p", "1,11,13", l.Target.LinkLocal.String()); err != nil {
		t.Fatal(err)
	}
	b, err := d.WaitBlock(l.Attacker.LinkLocal, 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if b.Technique != "syn" {
		t.Errorf("named %q, want syn", b.Technique)
	}
	zone := index(t, l.Attacker)
	service := netip.AddrPortFrom(l.Target.LinkLocal.WithZone(zone), 80)
	if l.Attacker.Reaches(l.Attacker.LinkLocal.WithZone(zone), service, 200*time.Millisecond) {
		t.Error("the service is reachable while blocked")
	}
	if !l.Attacker.Reaches(addr(bystander).WithZone(zone), service, time.Second) {
		t.Errorf("a bystander is blocked too: %s", b.Source)
	}
}

// TestTwoAddressesOfOnePrefix: two addresses of one /64 count as one source, and are blocked as
// two. The same segment from the second one is no retransmission.
func TestTwoAddressesOfOnePrefix(t *testing.T) {
	l := newLab(t)
	d := start(t, l.Target, Options{Config: longConfig()})
	for _, src := range []netip.Addr{Neighbour6(1), Neighbour6(2)} {
		send(t, l.Attacker, tcp(src, l.Target.V6, segment{from: 40000, to: 13, seq: 1, flags: syn}))
		if _, err := d.WaitBlock(src, 3*time.Second); err != nil {
			t.Error(err)
		}
	}
}
