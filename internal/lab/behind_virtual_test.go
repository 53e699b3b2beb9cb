// SPDX-License-Identifier: MIT

package lab

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestVirtualAddress: kube-proxy's interface has addresses that others serve. Nothing that
// is sent there is a probe of this host; if the operator names such an address it is judged
// as one behind the host, and its services are none of the probes' targets.
func TestVirtualAddress(t *testing.T) {
	l := newLab(t)
	four, six := addr("203.0.113.7"), addr("2001:db8:7::7")
	if err := l.Target.IP("link add kube-ipvs0 type veth peer name kube1", "link set kube-ipvs0 up",
		"addr add 203.0.113.7/32 dev kube-ipvs0",
		"addr add 2001:db8:7::7/128 dev kube-ipvs0 nodad"); err != nil {
		t.Fatal(err)
	}
	if err := l.Attacker.IP("route add 203.0.113.7 via 192.0.2.2",
		"route add 2001:db8:7::7 via 2001:db8::2"); err != nil {
		t.Fatal(err)
	}
	listen(t, l.Target, "tcp", 80)
	d := start(t, l.Target, Options{Config: "[forward]\nnetworks = [\"containers\"]\n"})
	scan := func(src, dst netip.Addr) int {
		return answersTo(t, l, func() { pour(t, l.Attacker, fullScan(attackers{own: src, dst: dst})) })
	}
	eventually(t, 20*time.Second, "the address is found", func() bool {
		out, err := l.Target.Run("nft", "list", "set", "inet", "picket", "elsewhere4")
		return err == nil && listed(out, four)
	})
	for _, f := range []struct{ src, own, virtual, witness netip.Addr }{
		{Source4(1), l.Target.V4, four, Source4(9)}, {Source6(1), l.Target.V6, six, Source6(9)},
	} {
		if n := scan(f.src, f.virtual); n < 900 {
			t.Errorf("%d of 1000 ports of %s answered", n, f.virtual)
		}
		pour(t, l.Attacker, fullScan(attackers{own: f.witness, dst: f.own}))
		if _, err := d.WaitBlock(f.witness, 3*time.Second); err != nil {
			t.Error(err)
		}
		untouched(t, d, f.src)
		for _, line := range d.Events() {
			if strings.Contains(line, "source="+f.src.String()+" ") {
				t.Errorf("told of: %s", line)
			}
		}
	}
	if err := d.Reload("[forward]\nnetworks = [\"203.0.113.0/24\", \"2001:db8:7::/64\"]\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, 3*time.Second, "the address is judged", func() bool {
		out, err := l.Target.Run("nft", "list", "set", "inet", "picket", "behind6")
		return err == nil && listed(out, six)
	})
	for _, f := range []struct{ src, client, virtual netip.Addr }{
		{Source4(2), Source4(3), four}, {Source6(2), Source6(3), six},
	} {
		n := scan(f.src, f.virtual)
		t.Logf("%d of 1000 ports of %s answered", n, f.virtual)
		if n > 40 {
			t.Errorf("%d of 1000 ports of %s answered, want at most 40", n, f.virtual)
		}
		if b, err := d.WaitBlock(f.src, 3*time.Second); err != nil || b.Response != "fence" {
			t.Errorf("%+v, %v; want a fence", b, err)
		}
		if n := scan(f.src, f.virtual); n > 0 {
			t.Errorf("%d ports answered who is fenced", n)
		}
		innocent(t, l, d, f.client, f.virtual)
	}
}
