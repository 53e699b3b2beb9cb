// SPDX-License-Identifier: MIT

package lab

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestHostsReachEachOther(t *testing.T) {
	l := newLab(t)
	c, err := l.AddContainer()
	if err != nil {
		t.Fatal(err)
	}
	listen(t, l.Target, "tcp", 80)
	listen(t, c, "tcp", 80)
	to := func(a netip.Addr) netip.AddrPort { return netip.AddrPortFrom(a, 80) }
	for _, test := range []struct {
		name string
		from netip.Addr
		to   netip.Addr
	}{
		{"IPv4", l.Attacker.V4, l.Target.V4},
		{"IPv4 second address", Source4(Sources), l.Target.Second4},
		{"IPv6", l.Attacker.V6, l.Target.V6},
		{"IPv6 neighbour", Neighbour6(Sources), l.Target.Second6},
		{"IPv6 from a /64 of its own", Source6(Sources), l.Target.V6},
		{"IPv6 link-local", l.Attacker.LinkLocal, l.Target.LinkLocal},
		{"IPv4 container", Source4(1), c.V4},
		{"IPv6 container", Source6(1), c.V6},
	} {
		if test.from.IsLinkLocalUnicast() {
			zone := index(t, l.Attacker)
			test.from, test.to = test.from.WithZone(zone), test.to.WithZone(zone)
		}
		if _, err := l.Attacker.Dial("tcp", test.from, to(test.to), time.Second); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// index returns the interface index of a host, as a zone. The net package would look up a name
// on the machine.
func index(t testing.TB, h *Host) string {
	t.Helper()
	out, err := h.Run("cat", "/sys/class/net/"+h.Dev+"/ifindex")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}
