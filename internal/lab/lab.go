// SPDX-License-Identifier: MIT

package lab

import (
	"fmt"
	"net/netip"

	"picket/internal/netns"
)

// A Lab is a small network: two hosts on one wire, and on request a third one behind the
// second. Its methods are for one goroutine; those of its hosts are safe for concurrent use.
type Lab struct {
	Attacker *Host // 192.0.2.1 and 2001:db8::1, and every [Source4] and [Source6]
	Target   *Host // 192.0.2.2 and 2001:db8::2, with 192.0.2.3 and 2001:db8::3 as second addresses

	group *netns.Group
}

// Sources is the number of the attacker's addresses of each family, for scans that must not be
// mistaken for one another.
const Sources = 30

// Source4 returns the attacker's i-th further IPv4 address, from 1 to
// [Sources]: 192.0.2.11 to 192.0.2.40.
func Source4(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(10 + i)}) }

// Source6 returns the attacker's i-th further IPv6 address, from 1 to
// [Sources], each in a /64 of its own: 2001:db8:0:11::1 to 2001:db8:0:40::1.
func Source6(i int) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf("2001:db8:0:%d::1", 10+i))
}

// Neighbour6 returns the attacker's i-th further IPv6 address inside the
// target's own /64, from 1 to [Sources]: 2001:db8::11 to 2001:db8::40.
func Neighbour6(i int) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", 10+i))
}

// New makes a lab. The caller must [Lab.Close] it. An error says what to install or which
// right is missing, and leaves nothing behind.
func New() (*Lab, error) {
	g, err := netns.New()
	if err != nil {
		return nil, err
	}
	l := &Lab{group: g}
	if err := l.build(); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Dir is a folder of the lab's own, removed with it.
func (l *Lab) Dir() string { return l.group.Dir() }

// Close ends every process in the lab and removes it. It may be called twice.
func (l *Lab) Close() error { return l.group.Close() }

// build makes the namespaces, the wire and the addresses.
func (l *Lab) build() (err error) {
	if l.Attacker, err = l.newHost("attacker"); err != nil {
		return err
	}
	if l.Target, err = l.newHost("target"); err != nil {
		return err
	}
	if err := netns.Wire(l.Attacker.Host, "eth0", l.Target.Host, "eth0"); err != nil {
		return err
	}
	// Link-local addresses are set by hand, so they are known. Further IPv6 addresses are
	// deprecated (RFC 4862, 5.5.4): usable on request, and never chosen by the kernel.
	a := []string{"addr add 192.0.2.1/24 dev eth0", "addr add 2001:db8::1/64 dev eth0",
		"addr add fe80::1/64 dev eth0"}
	for i := 1; i <= Sources; i++ {
		a = append(a, fmt.Sprintf("addr add %s/24 dev eth0", Source4(i)),
			fmt.Sprintf("addr add %s/64 dev eth0 noprefixroute preferred_lft 0", Neighbour6(i)),
			fmt.Sprintf("addr add %s/64 dev eth0 preferred_lft 0", Source6(i)))
	}
	if err := l.Attacker.IP(append(a, "link set eth0 up")...); err != nil {
		return err
	}
	if err := l.Target.IP("addr add 192.0.2.2/24 dev eth0", "addr add 192.0.2.3/24 dev eth0",
		"addr add 2001:db8::2/64 dev eth0", "addr add 2001:db8::3/64 dev eth0 preferred_lft 0",
		"addr add fe80::2/64 dev eth0",
		"link set eth0 up", "route add 2001:db8::/48 dev eth0"); err != nil {
		return err
	}
	l.Attacker.V4, l.Attacker.V6, l.Attacker.LinkLocal = addr("192.0.2.1"), addr("2001:db8::1"),
		addr("fe80::1")
	l.Target.V4, l.Target.V6, l.Target.LinkLocal = addr("192.0.2.2"), addr("2001:db8::2"), addr("fe80::2")
	l.Target.Second4, l.Target.Second6 = addr("192.0.2.3"), addr("2001:db8::3")
	return nil
}

// AddContainer adds a third host behind the target, which then forwards: 198.51.100.2 and
// 2001:db8:c::2, reached through the target's eth1.
func (l *Lab) AddContainer() (*Host, error) {
	h, err := l.newHost("container")
	if err != nil {
		return nil, err
	}
	if err := netns.Wire(l.Target.Host, "eth1", h.Host, "eth0"); err != nil {
		return nil, err
	}
	if err := l.Target.IP("addr add 198.51.100.1/24 dev eth1", "addr add 2001:db8:c::1/64 dev eth1",
		"addr add fe80::1/64 dev eth1", "link set eth1 up"); err != nil {
		return nil, err
	}
	if err := h.IP("addr add 198.51.100.2/24 dev eth0", "addr add 2001:db8:c::2/64 dev eth0",
		"addr add fe80::2/64 dev eth0", "link set eth0 up",
		"route add default via 198.51.100.1", "route add default via 2001:db8:c::1"); err != nil {
		return nil, err
	}
	if err := l.Target.Sysctl("net/ipv4/ip_forward", "1", "net/ipv6/conf/all/forwarding", "1"); err != nil {
		return nil, err
	}
	if err := l.Attacker.IP("route add 198.51.100.0/24 via 192.0.2.2",
		"route add 2001:db8:c::/64 via 2001:db8::2"); err != nil {
		return nil, err
	}
	h.V4, h.V6 = addr("198.51.100.2"), addr("2001:db8:c::2")
	return h, nil
}

// AddNeighbour adds a host to the wire of the two, with an address of each family.
func (l *Lab) AddNeighbour(role string, v4, v6 netip.Addr) (*Host, error) {
	h, err := l.newHost(role)
	if err != nil {
		return nil, err
	}
	if err := l.Attacker.IP("link add link eth0 name near type macvlan mode bridge",
		"link set near netns "+h.Name+" name eth0"); err != nil {
		return nil, err
	}
	h.V4, h.V6 = v4, v6
	return h, h.IP(fmt.Sprintf("addr add %s/24 dev eth0", v4), fmt.Sprintf("addr add %s/64 dev eth0", v6),
		"link set eth0 up",
		"route add default dev eth0")
}

// newHost makes one namespace.
func (l *Lab) newHost(role string) (*Host, error) {
	ns, err := l.group.Add(role)
	if err != nil {
		return nil, err
	}
	return &Host{Host: ns, Dev: "eth0", lab: l}, nil
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }
