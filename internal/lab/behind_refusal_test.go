// SPDX-License-Identifier: MIT

package lab

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// datagrams publishes twenty UDP ports of the host behind the target.
const datagrams = `table inet datagrams {
	chain in {
		type nat hook prerouting priority dstnat
		ip daddr 192.0.2.2 udp dport 20000-20019 dnat to 198.51.100.2
		ip6 daddr 2001:db8::2 udp dport 20000-20019 dnat to 2001:db8:c::2
	}
}`

// TestBehindRefusedDatagrams: a published UDP port is a service, although it never answers,
// until its host says that nobody serves it: who asks then is a prober. Nobody else can say
// so for it.
func TestBehindRefusedDatagrams(t *testing.T) {
	l := newLab(t)
	c := addBehind(t, l)
	if err := l.Target.NFT(datagrams); err != nil {
		t.Fatal(err)
	}
	addForger(t, l)
	// The networks are not judged here, published ports are.
	d := start(t, l.Target, Options{Config: "[forward]\nnetworks = [\"containers\"]\n" + hotConfig})
	for _, f := range []struct {
		name, family                string
		client, late, forger, c, at netip.Addr
	}{
		{"IPv4", "4", Source4(1), Source4(2), addr("203.0.113.7"), c.V4, l.Target.V4},
		{"IPv6", "6", Source6(1), Source6(2), addr("2001:db8:0:8000::7"), c.V6, l.Target.V6},
	} {
		t.Run(f.name, func(t *testing.T) {
			silent := listenUDP(t, c, netip.AddrPortFrom(f.c, 20001))
			ask := func(src netip.Addr, port uint16) packet { return udp(src, f.at, 40000, port, "x") }
			got := func() bool {
				silent.SetReadDeadline(time.Now().Add(2 * time.Second))
				_, err := silent.Read(make([]byte, 9))
				return err == nil
			}
			send(t, l.Attacker, ask(f.forger, 20001))
			if !got() {
				t.Fatal("the service gets nothing")
			}
			inner := udp(f.forger, f.c, 40000, 20001, "x")
			word := []byte{3, 3, 0, 0, 0, 0, 0, 0}
			if f.family == "6" {
				word = []byte{1, 4, 0, 0, 0, 0, 0, 0}
			}
			for _, from := range []netip.Addr{f.c, f.at} {
				send(t, l.Attacker, icmp(from, f.forger, append(word, inner...)))
			}
			for range 3 {
				if send(t, l.Attacker, ask(f.client, 20001)); !got() {
					t.Fatal("the service gets nothing of a client")
				}
			}
			send(t, l.Attacker, ask(f.late, 20002))
			if _, err := d.WaitBlock(f.late, 3*time.Second); err != nil {
				t.Error(err)
			}
			untouched(t, d, f.client)
			out, err := l.Target.Run("nft", "list", "set", "inet", "picket", "refused"+f.family)
			if err != nil || !strings.Contains(out, "20002") || strings.Contains(out, "20001") {
				t.Errorf("%v; want the port 20002 alone:\n%s", err, out)
			}
		})
	}
}
