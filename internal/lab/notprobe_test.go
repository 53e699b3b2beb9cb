// SPDX-License-Identifier: MIT

package lab

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"time"
)

// dnat publishes ports of the target, as container engines do: a service of the container, and
// one of the target itself.
const dnat = `table inet publish {
	chain prerouting {
		type nat hook prerouting priority dstnat
		iifname "eth0" meta nfproto ipv4 tcp dport 600 dnat ip to 198.51.100.2:80
		iifname "eth0" meta nfproto ipv6 tcp dport 600 dnat ip6 to [2001:db8:c::2]:80
		iifname "eth0" meta nfproto ipv4 udp dport 600 dnat ip to 198.51.100.2:80
		iifname "eth0" meta nfproto ipv6 udp dport 600 dnat ip6 to [2001:db8:c::2]:80
		tcp dport 601 redirect to :80
		udp dport 601 redirect to :80
	}
}`

// TestNoProbe: no innocent packet is taken for a probe, although every port here is hot:
// published and redirected ports, services, forwarded and broadcast packets, the host's packets
// to itself, echo requests, and late answers.
func TestNoProbe(t *testing.T) {
	l := newLab(t)
	c, err := l.AddContainer()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Target.NFT(dnat); err != nil {
		t.Fatal(err)
	}
	for _, h := range []*Host{l.Target, c} {
		listen(t, h, "tcp", 80)
		listen(t, h, "udp", 80)
	}
	d := start(t, l.Target, Options{Config: hotConfig})
	listen(t, l.Target, "tcp", 602) // a service that starts after picket
	listen(t, l.Target, "udp", 602)

	for i, f := range []struct {
		name, broadcast string
		src, dst, c     netip.Addr
		witness         netip.Addr
	}{
		{"IPv4", "192.0.2.255", Source4(1), l.Target.V4, c.V4, Source4(9)},
		{"IPv6", "ff02::1", Source6(1), l.Target.V6, c.V6, Source6(9)},
	} {
		t.Run(f.name, func(t *testing.T) {
			for _, port := range []uint16{80, 600, 601, 602} {
				to := netip.AddrPortFrom(f.dst, port)
				if !l.Attacker.Reaches(f.src, to, 2*time.Second) {
					t.Errorf("tcp/%d: no answer", port)
				}
				if err := echo(l.Attacker, f.src, to); err != nil {
					t.Errorf("udp/%d: %v", port, err)
				}
			}
			// Refused by the container, with or without a picket of its own.
			l.Attacker.Reaches(f.src, netip.AddrPortFrom(f.c, 22), time.Second)
			// Refused by the target itself.
			l.Target.Reaches(netip.Addr{}, netip.AddrPortFrom(f.dst, 22), time.Second)
			send(t, l.Attacker, udp(f.src, addr(f.broadcast), 40000, 137, "who is there"), ping(f.src, f.dst))
			lateAnswer(t, l, f.src, uint16(700+i))

			witness(t, l, d, f.witness, f.dst)
			innocent(t, l, d, f.src, f.dst)
		})
	}
}

// echo sends a datagram to an echo service and waits for the answer.
func echo(h *Host, from netip.Addr, to netip.AddrPort) error {
	c, err := h.Dial("udp", from, to, time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	if _, err := c.Write([]byte("hello")); err != nil {
		return err
	}
	_, err = c.Read(make([]byte, 16))
	return err
}

// ping returns an echo request (RFC 792; RFC 4443, 4.1).
func ping(src, dst netip.Addr) packet {
	if src.Is4() {
		return icmp(src, dst, []byte{8, 0, 0, 0, 0, 0, 0, 0})
	}
	return icmp(src, dst, []byte{128, 0, 0, 0, 0, 0, 0, 0})
}

// lateAnswer has the target ask a resolver of the attacker, from a port of the watched range,
// and close before the answer.
func lateAnswer(t *testing.T, l *Lab, resolver netip.Addr, port uint16) {
	t.Helper()
	server := listenUDP(t, l.Attacker, netip.AddrPortFrom(resolver, 53))
	local := l.Target.V4
	if resolver.Is6() {
		local = l.Target.V6
	}
	client := listenUDP(t, l.Target, netip.AddrPortFrom(local, port))
	if _, err := client.WriteToUDPAddrPort([]byte("question"), netip.AddrPortFrom(resolver, 53)); err != nil {
		t.Fatal(err)
	}
	if err := server.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, from, err := server.ReadFromUDPAddrPort(make([]byte, 64))
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
	if _, err := server.WriteToUDPAddrPort([]byte("answer"), from); err != nil {
		t.Fatal(err)
	}
}

// listenUDP opens a socket in h. It closes at the end of the test at the latest.
func listenUDP(t *testing.T, h *Host, at netip.AddrPort) (c *net.UDPConn) {
	t.Helper()
	err := h.Do(func() (err error) {
		c, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// witness sends a true probe and waits for its block. Packets reach picket in order, so picket
// has seen all earlier ones. The block also shows that a packet of the test, taken for a probe,
// would have been blocked.
func witness(t *testing.T, l *Lab, d *Daemon, src, dst netip.Addr) {
	t.Helper()
	send(t, l.Attacker, knock(src, dst, 15))
	if _, err := d.WaitBlock(src, 3*time.Second); err != nil {
		t.Fatal(err)
	}
}

// innocent tests that a source is neither blocked nor held and reaches port 80.
func innocent(t *testing.T, l *Lab, d *Daemon, src, dst netip.Addr) {
	t.Helper()
	untouched(t, d, src)
	if !l.Attacker.Reaches(src, netip.AddrPortFrom(dst, 80), time.Second) {
		t.Errorf("%s cannot reach a service", src)
	}
}

// untouched tests that a source is neither blocked nor held.
func untouched(t *testing.T, d *Daemon, src netip.Addr) {
	t.Helper()
	b, ok, err := d.Blocked(src)
	if err != nil {
		t.Fatal(err)
	}
	if ok {
		t.Errorf("%s is blocked: %+v", src, b)
	}
	for _, set := range []string{"held4", "held6", "blocked4", "blocked6"} {
		out, err := d.host.Run("nft", "list", "set", "inet", "picket", set)
		if err != nil {
			t.Fatal(err)
		}
		if listed(out, src) {
			t.Errorf("%s is in %s:\n%s", src, set, out)
		}
	}
}

func TestServiceComesAndGoes(t *testing.T) {
	l := newLab(t)
	d := start(t, l.Target, Options{Config: hotConfig})
	for _, f := range []struct {
		name          string
		tcp, udp, dst netip.Addr
		port          uint16
	}{
		{"IPv4", Source4(1), Source4(2), l.Target.V4, 610},
		{"IPv6", Source6(1), Source6(2), l.Target.V6, 611},
	} {
		t.Run(f.name, func(t *testing.T) {
			for range 3 { // the service starts, answers and ends, unknown to picket
				s := listen(t, l.Target, "tcp", f.port)
				u := listen(t, l.Target, "udp", f.port)
				if !l.Attacker.Reaches(f.tcp, netip.AddrPortFrom(f.dst, f.port), time.Second) {
					t.Fatal("the new service is not reachable")
				}
				if err := echo(l.Attacker, f.udp, netip.AddrPortFrom(f.dst, f.port)); err != nil {
					t.Fatal(err)
				}
				s.Close()
				u.Close()
			}
			untouched(t, d, f.tcp)
			untouched(t, d, f.udp)
			if l.Attacker.Reaches(f.tcp, netip.AddrPortFrom(f.dst, f.port), time.Second) {
				t.Fatal("the service is still there")
			}
			send(t, l.Attacker, udp(f.udp, f.dst, 40000, f.port, "anybody?"))
			for _, src := range []netip.Addr{f.tcp, f.udp} {
				if _, err := d.WaitBlock(src, 3*time.Second); err != nil {
					t.Errorf("a probe of a port whose service went: %v", err)
				}
			}
		})
	}
}

// TestTrapLeavesForwarded: the trap answers for this host only. A connection to a trap port of
// a host behind it reaches that host.
func TestTrapLeavesForwarded(t *testing.T) {
	l := newLab(t)
	c, err := l.AddContainer()
	if err != nil {
		t.Fatal(err)
	}
	listen(t, c, "tcp", 119)
	start(t, l.Target, Options{})
	for _, f := range []struct{ src, dst netip.Addr }{{Source4(1), c.V4}, {Source6(1), c.V6}} {
		if !l.Attacker.Reaches(f.src, netip.AddrPortFrom(f.dst, 119), 3*time.Second) {
			t.Errorf("no connection to port 119 of %s", f.dst)
			continue
		}
		conn, err := l.Attacker.Dial("tcp", f.src, netip.AddrPortFrom(f.dst, 119), 3*time.Second)
		if err != nil {
			t.Error(err)
			continue
		}
		conn.SetDeadline(time.Now().Add(3 * time.Second))
		said, _ := io.ReadAll(conn)
		conn.Close()
		if string(said) != "picket lab\n" {
			t.Errorf("port 119 of %s said %q, want what the service there says", f.dst, said)
		}
	}
}
