// SPDX-License-Identifier: MIT

package lab

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"picket/internal/netns"
)

// TestBehindSweep: a source that asks many unused addresses of a routed /24 is named and
// fenced. After that no service there answers it.
func TestBehindSweep(t *testing.T) {
	l := newLab(t)
	c := addBehind(t, l)
	four, _ := many(t, c, 40)
	listen(t, c, "tcp", 80)
	d := start(t, l.Target, Options{Config: routed})
	src := Source4(1)
	sweep := func(port uint16) (out []packet) {
		for a := addr("198.51.100.2"); a != addr("198.51.100.255"); a = a.Next() {
			out = append(out, clientSYN(src, a, 40000, port))
		}
		return out
	}
	pour(t, l.Attacker, sweep(443))
	b, err := d.WaitBlock(src, 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.WaitEvent(3*time.Second, "pattern=sweep", "source="+src.String()+" "); err != nil {
		t.Error(err)
	}
	if b.Technique != "syn" {
		t.Errorf("named %+v", b)
	}
	if l.Attacker.Reaches(src, netip.AddrPortFrom(four[0], 80), 300*time.Millisecond) {
		t.Error("a service there answers who is fenced")
	}
	if !l.Attacker.Reaches(Source4(2), netip.AddrPortFrom(four[0], 80), 2*time.Second) {
		t.Error("and nobody else")
	}
}

// TestBehindBridge: machines on a bridge with br_netfilter are judged if the configuration
// names them. Without that, they count as a part of the network that the bridge joins.
func TestBehindBridge(t *testing.T) {
	l := newLab(t)
	c, err := l.newHost("guest")
	if err != nil {
		t.Fatal(err)
	}
	if err := netns.Wire(l.Target.Host, "tap0", c.Host, "eth0"); err != nil {
		t.Fatal(err)
	}
	if err := l.Target.IP("addr flush dev eth0", "link add br0 type bridge", "link set eth0 master br0",
		"link set tap0 master br0",
		"link set tap0 up", "addr add 192.0.2.2/24 dev br0", "link set br0 up"); err != nil {
		t.Fatal(err)
	}
	if err := l.Target.Sysctl("net/bridge/bridge-nf-call-iptables", "1"); err != nil {
		t.Fatal(err)
	}
	c.V4 = addr("192.0.2.200")
	if err := c.IP("addr add 192.0.2.200/24 dev eth0", "link set eth0 up"); err != nil {
		t.Fatal(err)
	}
	listen(t, c, "tcp", 80)
	d := start(t, l.Target, Options{Config: "[forward]\nnetworks = [\"192.0.2.200\"]\n"})
	reached := func(src netip.Addr) bool {
		return l.Attacker.Reaches(src, netip.AddrPortFrom(c.V4, 80), 2*time.Second)
	}
	eventually(t, 5*time.Second, "the guest is reached", func() bool { return reached(Source4(1)) })
	src := Source4(2)
	n := answersTo(t, l, func() { pour(t, l.Attacker, fullScan(attackers{own: src, dst: c.V4})) })
	if n == 0 || n > 40 {
		t.Errorf("%d of 1000 ports answered, want some and at most 40", n)
	}
	if _, err := d.WaitBlock(src, 3*time.Second); err != nil {
		t.Fatal(err)
	}
	if l.Attacker.Reaches(src, netip.AddrPortFrom(c.V4, 80), 300*time.Millisecond) {
		t.Error("the guest answers who is fenced")
	}
	if !reached(Source4(1)) {
		t.Error("and nobody else")
	}
	for _, line := range d.Events() {
		if strings.Contains(line, "source="+Source4(1).String()+" ") {
			t.Errorf("a client is told of: %s", line)
		}
	}
}
