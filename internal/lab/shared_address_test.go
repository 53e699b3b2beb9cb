// SPDX-License-Identifier: MIT

package lab

import (
	"net/netip"
	"testing"
	"time"
)

// TestSharedAddress: a scanner proves itself behind a shared address. No session of the address
// is cut, with or without connection tracking, even if that is flushed. After the end of the
// sessions nothing of the address passes.
func TestSharedAddress(t *testing.T) {
	l := newLab(t)
	if err := l.Target.NFT(untracked); err != nil {
		t.Fatal(err)
	}
	for _, port := range []uint16{7000, 7003} {
		echoing(t, l.Target, port)
	}
	d := start(t, l.Target, Options{})
	for name, f := range families(l, 1) {
		t.Run(name, func(t *testing.T) {
			var talks []*talk
			for _, x := range []talk{
				{name: "tracked", network: "tcp", to: netip.AddrPortFrom(f[1], 7000)},
				{name: "untracked", network: "tcp", to: netip.AddrPortFrom(f[1], 7003)},
			} {
				var err error
				if x.conn, err = l.Attacker.Dial(x.network, f[0], x.to, time.Second); err != nil {
					t.Fatal(err)
				}
				defer x.conn.Close()
				talks = append(talks, &x)
			}
			all := func(when string) {
				t.Helper()
				for _, x := range talks {
					if err := x.say(when); err != nil {
						t.Errorf("%s, %s: %v", when, x.name, err)
					}
				}
			}
			all("before")
			for _, port := range []uint16{1, 7, 9} {
				l.Attacker.Reaches(f[0], netip.AddrPortFrom(f[1], port), time.Second)
			}
			if b, err := d.WaitBlock(f[0], 3*time.Second); err != nil {
				t.Errorf("%+v, %v", b, err)
			}
			if _, err := l.Target.Run("conntrack", "-F"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second) // two looks at the flows, without a packet
			all("blocked, and connection tracking flushed")
			for _, x := range talks {
				x.conn.Close()
			}
			set := map[string]string{"IPv4": "blocked4", "IPv6": "blocked6"}[name]
			eventually(t, 30*time.Second, "everything is dropped once the sessions have ended", func() bool {
				out, err := l.Target.Run("nft", "list", "set", "inet", "picket", set)
				return err == nil && listed(out, f[0])
			})
		})
	}
}
