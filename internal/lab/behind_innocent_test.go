// SPDX-License-Identifier: MIT

package lab

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"picket/internal/netns"
)

// hotBehind makes one probe behind the host exceed the trigger.
const hotBehind = routed + hotConfig

// many gives a host behind the target further addresses, 198.51.100.100 and up and
// 2001:db8:c::100 and up.
func many(t *testing.T, h *Host, n int) (four, six []netip.Addr) {
	t.Helper()
	var commands []string
	for i := range n {
		four = append(four, addr(fmt.Sprintf("198.51.100.%d", 100+i)))
		six = append(six, addr(fmt.Sprintf("2001:db8:c::%d", 100+i)))
		commands = append(commands, fmt.Sprintf("addr add %s/24 dev eth0", four[i]),
			fmt.Sprintf("addr add %s/64 dev eth0 nodad", six[i]))
	}
	if err := h.IP(commands...); err != nil {
		t.Fatal(err)
	}
	return four, six
}

// witnessBehind is witness with a probe to an address behind the host. Such probes wait, and
// leave in the order in which they came.
func witnessBehind(t *testing.T, l *Lab, d *Daemon, src, dst netip.Addr) {
	t.Helper()
	send(t, l.Attacker, knock(src, dst, 15))
	if _, err := d.WaitBlock(src, 3*time.Second); err != nil {
		t.Fatal(err)
	}
}

// TestBehindNoProbe: ordinary life is no probe behind the host either, although one probe would
// exceed the trigger: many first contacts with unknown services at once; a service that was
// there within the hour; published ports; late answers.
func TestBehindNoProbe(t *testing.T) {
	l := newLab(t)
	c := addBehind(t, l)
	four, six := many(t, c, 40)
	if err := l.Target.NFT(dnat); err != nil {
		t.Fatal(err)
	}
	listen(t, c, "tcp", 80)
	listen(t, c, "udp", 80)
	gone := listen(t, c, "tcp", 81)
	d := start(t, l.Target, Options{Config: hotBehind})
	// The first probe only shows that answers come this way.
	send(t, l.Attacker, knock(Source4(8), c.V4, 15), knock(Source6(8), c.V6, 15))
	for i, f := range []struct {
		name        string
		src, dst, c netip.Addr
		all         []netip.Addr
		witness     netip.Addr
		asks        netip.Addr // the peer that is asked from behind
	}{
		{name: "IPv4", src: Source4(1), dst: l.Target.V4, c: c.V4, all: four, witness: Source4(9),
			asks: Source4(2)},
		{name: "IPv6", src: Source6(1), dst: l.Target.V6, c: c.V6, all: six, witness: Source6(9),
			asks: Source6(2)},
	} {
		t.Run(f.name, func(t *testing.T) {
			// A proxy that begins to ask all its servers.
			for _, a := range f.all {
				if !l.Attacker.Reaches(f.src, netip.AddrPortFrom(a, 80), 2*time.Second) {
					t.Errorf("%s is not reached", a)
				}
			}
			for _, to := range []netip.AddrPort{netip.AddrPortFrom(f.c, 80), netip.AddrPortFrom(f.dst, 600)} {
				if err := echo(l.Attacker, f.src, to); err != nil {
					t.Errorf("udp %s: %v", to, err)
				}
				if !l.Attacker.Reaches(f.src, to, 2*time.Second) {
					t.Errorf("tcp %s: no answer", to)
				}
			}
			if !l.Attacker.Reaches(f.src, netip.AddrPortFrom(f.c, 81), 2*time.Second) {
				t.Error("port 81 is not reached")
			}
			if i == 1 { // both families asked this one
				gone.Close()
				for _, x := range []netip.AddrPort{netip.AddrPortFrom(c.V4, 81), netip.AddrPortFrom(c.V6,
					81)} {
					from := f.src
					if x.Addr().Is4() {
						from = Source4(1)
					}
					if l.Attacker.Reaches(from, x, time.Second) {
						t.Errorf("%s is still served", x)
					}
				}
			}
			// A host behind asks, gives up, and gets its answer then.
			var asked *net.UDPConn
			err := c.Do(func() (err error) {
				asked, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(f.c, 40001)))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := asked.WriteToUDPAddrPort([]byte("x"), netip.AddrPortFrom(f.asks, 5353)); err != nil {
				t.Fatal(err)
			}
			asked.Close()
			eventually(t, 3*time.Second, "the question is noted", func() bool {
				out, err := l.Target.Run("nft", "list", "set", "inet", "picket",
					map[bool]string{false: "sought4", true: "sought6"}[f.c.Is6()])
				return err == nil && strings.Contains(out, "5353")
			})
			if _, err := l.Target.Run("conntrack", "-F"); err != nil {
				t.Fatal(err)
			}
			send(t, l.Attacker, udp(f.asks, f.c, 5353, 40001, "late"), udp(f.asks, f.c, 5353, 40002, "late"))

			witnessBehind(t, l, d, f.witness, f.c)
			innocent(t, l, d, f.src, f.c)
			untouched(t, d, f.asks)
		})
	}
}

// TestBehindAsymmetric: if answers take another way, their absence accuses nobody.
func TestBehindAsymmetric(t *testing.T) {
	l := newLab(t)
	c := addBehind(t, l)
	if err := wireDirectly(l, c); err != nil {
		t.Fatal(err)
	}
	listen(t, c, "tcp", 80)
	d := start(t, l.Target, Options{Config: hotBehind})
	for _, f := range []struct{ src, dst, own, witness netip.Addr }{
		{Source4(1), c.V4, l.Target.V4, Source4(9)}, {Source6(1), c.V6, l.Target.V6, Source6(9)},
	} {
		for range 3 {
			if !l.Attacker.Reaches(f.src, netip.AddrPortFrom(f.dst, 80), 2*time.Second) {
				t.Errorf("%s is not reached", f.dst)
			}
		}
		// Nothing shows that a probe waits. After one second it would have been judged.
		time.Sleep(time.Second)
		witness(t, l, d, f.witness, f.own)
		innocent(t, l, d, f.src, f.dst)
	}
}

// wireDirectly gives a host behind the target a direct link to the attacker.
func wireDirectly(l *Lab, c *Host) error {
	if err := netns.Wire(l.Attacker.Host, "eth9", c.Host, "eth9"); err != nil {
		return err
	}
	loose := []string{"net/ipv4/conf/all/rp_filter", "0", "net/ipv4/conf/eth9/rp_filter", "0",
		"net/ipv4/conf/eth0/rp_filter", "0"}
	for _, h := range []*Host{l.Attacker, c} {
		if err := h.Sysctl(loose...); err != nil {
			return err
		}
		if err := h.IP("link set eth9 up"); err != nil {
			return err
		}
	}
	if err := l.Attacker.IP("addr add 203.0.113.1/30 dev eth9",
		"addr add fe80::91/64 dev eth9 nodad"); err != nil {
		return err
	}
	return c.IP("addr add 203.0.113.2/30 dev eth9", "addr add fe80::92/64 dev eth9 nodad",
		"route add 192.0.2.0/24 via 203.0.113.1", "route add 2001:db8:0:0::/50 via fe80::91 dev eth9")
}

// TestBehindForgedInside: a sender outside that forges the name of a host behind gets no
// answers, and does not make that host look infected. A device there that scans is reported by
// name and port, and is not stopped.
func TestBehindForgedInside(t *testing.T) {
	l := newLab(t)
	c := addBehind(t, l)
	d := start(t, l.Target, Options{Config: routed})
	for _, h := range []*Host{l.Target, l.Attacker} {
		if err := h.Sysctl("net/ipv4/conf/all/rp_filter", "0", "net/ipv4/conf/eth0/rp_filter",
			"0"); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []struct {
		name                    string
		forged, inside, outside netip.Addr
	}{
		{"IPv4", addr("198.51.100.9"), c.V4, l.Attacker.V4}, {"IPv6", addr("2001:db8:c::9"), c.V6,
			l.Attacker.V6},
	} {
		t.Run(f.name, func(t *testing.T) {
			pour(t, l.Attacker, ports1000(func(p uint16) packet {
				return clientSYN(f.forged, f.inside,
					40000, p)
			}))
			pour(t, c, ports1000(func(p uint16) packet {
				return clientSYN(f.inside, f.outside, 40000,
					p)
			})[:100])
			line, err := d.WaitEvent(3*time.Second, "event=infection", "source="+f.inside.String()+" ")
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(line, "destination="+f.outside.String()) || !strings.Contains(line,
				"interface=eth1") {
				t.Errorf("told as %s", line)
			}
			for _, line := range d.Events() {
				if strings.Contains(line, f.forged.String()+" ") {
					t.Errorf("whose name was used is told of: %s", line)
				}
			}
			untouched(t, d, f.inside)
			untouched(t, d, f.forged)
		})
	}
}

// TestBehindPoisoned: a host behind that answers at every port, asked by a friend outside,
// fills a small part of what is learned, and hides only itself.
func TestBehindPoisoned(t *testing.T) {
	l := newLab(t)
	c := addBehind(t, l)
	if err := c.NFT(`table inet everywhere {
	chain in {
		type nat hook prerouting priority dstnat
		ip daddr 198.51.100.2 tcp dport != 80 redirect to :80
		ip6 daddr 2001:db8:c::2 tcp dport != 80 redirect to :80
	}
}`); err != nil {
		t.Fatal(err)
	}
	listen(t, c, "tcp", 80)
	d := start(t, l.Target, Options{Config: routed})
	for _, f := range []struct {
		name, family  string
		friend        func(int) netip.Addr
		src           netip.Addr
		inside, other netip.Addr
	}{
		{"IPv4", "4", Source4, l.Attacker.V4, c.V4, c.Second4},
		{"IPv6", "6", Source6, l.Attacker.V6, c.V6, c.Second6},
	} {
		t.Run(f.name, func(t *testing.T) {
			const each = 24 // ports; too few for a fence
			for i := range Sources {
				var asks []packet
				for n := range each {
					asks = append(asks, clientSYN(f.friend(i+1), f.inside, 40000, uint16(100+each*i+n)))
				}
				pour(t, l.Attacker, asks)
			}
			learned := func(set string) string {
				out, err := l.Target.Run("nft", "list", "set", "inet", "picket", set+f.family)
				if err != nil {
					t.Fatal(err)
				}
				return out
			}
			eventually(t, 3*time.Second, "all of its ports count as served",
				func() bool { return listed(learned("open"), f.inside) })
			if n := strings.Count(learned("served"), "expires"); n > 130 {
				t.Errorf("%d of %d ports are learned", n, each*Sources)
			}
			pour(t, l.Attacker, fullScan(attackers{own: f.src, dst: f.other}))
			if _, err := d.WaitBlock(f.src, 3*time.Second); err != nil {
				t.Error(err)
			}
		})
	}
}
