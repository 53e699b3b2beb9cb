// SPDX-License-Identifier: MIT

package lab

import (
	"net/netip"
	"testing"
	"time"
)

// routed is the lab's network behind the target, as an operator names it.
const routed = "[forward]\nnetworks = [\"198.51.100.0/24\", \"2001:db8:c::/64\"]\n"

// addBehind adds a host behind the target. It has second addresses for scans with a source that
// depends on routes.
func addBehind(t *testing.T, l *Lab) *Host {
	t.Helper()
	c, err := l.AddContainer()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.IP("addr add 198.51.100.3/24 dev eth0", "addr add 2001:db8:c::3/64 dev eth0"); err != nil {
		t.Fatal(err)
	}
	if err := c.Sysctl("net/ipv4/icmp_ratelimit", "0", "net/ipv6/icmp/ratelimit", "0"); err != nil {
		t.Fatal(err)
	}
	c.Second4, c.Second6 = addr("198.51.100.3"), addr("2001:db8:c::3")
	return c
}

// addForger puts a forger at another place behind the attacker, 203.0.113.7 and
// 2001:db8:0:8000::7. The target routes the packets that are forged.
func addForger(t *testing.T, l *Lab) {
	t.Helper()
	for _, h := range []*Host{l.Target, l.Attacker} {
		if err := h.Sysctl("net/ipv4/conf/all/rp_filter", "0", "net/ipv4/conf/eth0/rp_filter",
			"0"); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Attacker.IP("route add 203.0.113.7 via 192.0.2.2",
		"route add 2001:db8:0:8000::7 via fe80::2 dev eth0"); err != nil {
		t.Fatal(err)
	}
	if err := l.Target.IP("route add 203.0.113.7 via 192.0.2.1",
		"route add 2001:db8:0:8000::7 via fe80::1 dev eth0"); err != nil {
		t.Fatal(err)
	}
}

func TestBehindMatrixDefault(t *testing.T) {
	matrixBehind(t, routed+"[block]\nfor = [\"6s\"]\n", "1-300")
}

func TestBehindMatrixTriggerZero(t *testing.T) { matrixBehind(t, routed+hotConfig, "1,11,13,15") }

// matrixBehind is the matrix against a host behind the target: every scan is
// detected, named right, blocked and free again.
func matrixBehind(t *testing.T, config, ports string) {
	l := newLab(t)
	c := addBehind(t, l)
	scanAll(t, l, c, "via 192.0.2.2", "via 2001:db8::2", config, ports)
}

// TestBehindAnswersFew: of a thousand ports behind the host few answer, at any speed, by TCP
// and UDP. None answers during a response. A known service still answers others.
func TestBehindAnswersFew(t *testing.T) {
	l := newLab(t)
	c := addBehind(t, l)
	listen(t, c, "tcp", 80)
	d := start(t, l.Target, Options{Config: routed})
	for _, f := range []struct {
		name   string
		source func(int) netip.Addr
		dst    netip.Addr
	}{{"IPv4", Source4, c.V4}, {"IPv6", Source6, c.V6}} {
		for i, way := range []struct {
			name string
			each func(src netip.Addr, port uint16) packet
		}{
			{"SYN", func(src netip.Addr, p uint16) packet { return clientSYN(src, f.dst, 40000+p, p) }},
			{"FIN", func(src netip.Addr, p uint16) packet {
				return tcp(src, f.dst, segment{from: 40000, to: p, seq: 9, flags: fin})
			}},
			{"ACK", func(src netip.Addr, p uint16) packet {
				return tcp(src, f.dst, segment{from: 40000, to: p, seq: 9, flags: ack})
			}},
			{"UDP", func(src netip.Addr, p uint16) packet { return udp(src, f.dst, 40000, p, "x") }},
		} {
			t.Run(way.name+" "+f.name, func(t *testing.T) {
				src := f.source(1 + i)
				scan := func() {
					pour(t, l.Attacker, ports1000(func(p uint16) packet {
						return way.each(src,
							p)
					}))
				}
				n := answersTo(t, l, scan)
				t.Logf("%d of 1000 answered at once", n)
				if n > 40 {
					t.Errorf("%d of 1000 ports answered, want at most 40", n)
				}
				if _, err := d.WaitBlock(src, 3*time.Second); err != nil {
					t.Error(err)
				}
				if n := answersTo(t, l, scan); n > 0 {
					t.Errorf("%d of 1000 ports answered while it is fenced", n)
				}
			})
		}
	}
}

// TestBehindBetweenFences: a source that may be forged is fenced for ten minutes of an hour. In
// the other fifty the count of the rules holds: the ports that nobody serves stay silent while
// it lasts, and 25 of them answer when it begins again. Services are open to every source
// without a fence.
func TestBehindBetweenFences(t *testing.T) {
	l := newLab(t)
	c := addBehind(t, l)
	listen(t, c, "tcp", 80)
	d := start(t, l.Target, Options{Config: routed})
	for _, f := range []struct {
		family   string
		src, dst netip.Addr
	}{{"4", Source4(1), c.V4}, {"6", Source6(1), c.V6}} {
		scan := func() int {
			return answersTo(t, l, func() {
				pour(t, l.Attacker, fullScan(attackers{own: f.src,
					dst: f.dst}))
			})
		}
		scan()
		if _, err := d.WaitBlock(f.src, 3*time.Second); err != nil {
			t.Fatal(err)
		}
		forget := func(sets ...string) {
			t.Helper()
			for _, s := range sets { // as when their time is over
				if _, err := l.Target.Run("nft", "flush", "set", "inet", "picket", s+f.family); err != nil {
					t.Fatal(err)
				}
			}
		}
		forget("fence", "held")
		if n := scan(); n > 1 {
			t.Errorf("IPv%s: %d ports answered after the fence, want the service at most", f.family, n)
		} else {
			t.Logf("IPv%s: %d answered after the fence", f.family, n)
		}
		forget("fence", "held", "quiet", "sight", "ports", "holds")
		if n := scan(); n == 0 || n > 27 {
			t.Errorf("IPv%s: %d ports answered when the count began anew", f.family, n)
		} else {
			t.Logf("IPv%s: %d answered when the count began anew", f.family, n)
		}
	}
}
