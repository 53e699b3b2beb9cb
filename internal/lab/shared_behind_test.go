// SPDX-License-Identifier: MIT

package lab

import (
	"net/netip"
	"testing"
	"time"
)

// TestSharedAddressBehind: of a scanner's shared address the flows to what is behind this
// host live on, over a flush of connection tracking too if they say something before the
// next look at the flows. An idle one ends then: nothing else knows of it.
func TestSharedAddressBehind(t *testing.T) {
	l := newLab(t)
	c, err := l.AddContainer()
	if err != nil {
		t.Fatal(err)
	}
	echoing(t, c, 7000)
	d := start(t, l.Target, Options{Config: routed})
	for _, f := range []struct {
		name         string
		src, own, to netip.Addr
	}{{"IPv4", Source4(1), l.Target.V4, c.V4}, {"IPv6", Source6(1), l.Target.V6, c.V6}} {
		t.Run(f.name, func(t *testing.T) {
			x := talk{network: "tcp", to: netip.AddrPortFrom(f.to, 7000)}
			var err error
			if x.conn, err = l.Attacker.Dial(x.network, f.src, x.to, time.Second); err != nil {
				t.Fatal(err)
			}
			defer x.conn.Close()
			if err := x.say("before"); err != nil {
				t.Fatal(err)
			}
			for _, port := range []uint16{1, 7, 9} {
				l.Attacker.Reaches(f.src, netip.AddrPortFrom(f.own, port), time.Second)
			}
			eventually(t, 5*time.Second, "the scanner is proven", func() bool {
				b, _, err := d.Blocked(f.src)
				return err == nil && b.Proven
			})
			if err := x.say("blocked"); err != nil {
				t.Error(err)
			}
			flush := func() {
				if _, err := l.Target.Run("conntrack", "-F"); err != nil {
					t.Fatal(err)
				}
			}
			flush()
			if err := x.say("flushed"); err != nil {
				t.Error(err)
			}
			time.Sleep(5 * time.Second) // two looks at the flows
			if err := x.say("still there"); err != nil {
				t.Error(err)
			}
			flush()
			set := map[string]string{"IPv4": "blocked4", "IPv6": "blocked6"}[f.name]
			eventually(t, 30*time.Second, "an idle flow has ended", func() bool {
				out, err := l.Target.Run("nft", "list", "set", "inet", "picket", set)
				return err == nil && listed(out, f.src)
			})
		})
	}
}
