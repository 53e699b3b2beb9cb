// SPDX-License-Identifier: MIT

package lab

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// families are a source and an address of the target, for IPv4 and IPv6.
func families(l *Lab, i int) map[string][2]netip.Addr {
	return map[string][2]netip.Addr{
		"IPv4": {Source4(i), l.Target.V4}, "IPv6": {Source6(i), l.Target.V6},
	}
}

// TestHeldConnections: a connect scan that holds its connections open is reported when they are
// accepted, before the trap sees their end, and is led to a few trap ports only.
func TestHeldConnections(t *testing.T) {
	const most = 40
	l := newLab(t)
	d := start(t, l.Target, Options{Config: "[tcp]\nclassic = \"1-1000\"\n[trap]\ntime = \"1m\"\n"})
	for name, f := range families(l, 1) {
		t.Run(name, func(t *testing.T) {
			var connected atomic.Int32
			var all sync.WaitGroup
			open := make(chan net.Conn, 1000)
			for port := uint16(1); port <= 1000; port++ {
				all.Go(func() {
					to := netip.AddrPortFrom(f[1], port)
					if c, err := l.Attacker.Dial("tcp", f[0], to, 1500*time.Millisecond); err == nil {
						connected.Add(1)
						open <- c
					}
				})
			}
			all.Wait()
			close(open)
			for c := range open {
				t.Cleanup(func() { c.Close() })
			}
			if n := connected.Load(); n == 0 || n > most {
				t.Errorf("%d of 1000 trap ports took a connection, want some and %d at most", n, most)
			}
			_, err := d.WaitEvent(time.Second, "technique=connect", "destination="+f[1].String()+" ")
			if err != nil {
				t.Error(err)
			}
			if _, err := d.WaitBlock(f[0], time.Second); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestTrapPortStaysOpen: a source that connects to a trap port often and fast gets in each
// time, otherwise a fast scanner could not prove itself. It gets in at that one port only.
func TestTrapPortStaysOpen(t *testing.T) {
	l := newLab(t)
	d := start(t, l.Target, Options{})
	for name, f := range families(l, 1) {
		t.Run(name, func(t *testing.T) {
			dial := func(port uint16) {
				t.Helper()
				c, err := l.Attacker.Dial("tcp", f[0], netip.AddrPortFrom(f[1], port), time.Second)
				if err != nil {
					t.Fatal(err)
				}
				c.Close()
			}
			for range 40 {
				dial(11)
			}
			untouched(t, d, f[0])
			for _, port := range []uint16{1, 7, 9, 15} {
				dial(port)
			}
			if b, err := d.WaitBlock(f[0], 3*time.Second); err != nil || !b.Proven {
				t.Errorf("after five trap ports: %+v, %v", b, err)
			}
		})
	}
}

// TestBrowserAtTheTrap: a connection that begins with HTTP, TLS or BitTorrent proves nothing, even
// if no bytes of it are stored, and a live flow is not cut for it.
func TestBrowserAtTheTrap(t *testing.T) {
	l := newLab(t)
	echoing(t, l.Target, 7000)
	d := start(t, l.Target, Options{Config: "[trap]\nbytes = 0\n[detect]\nscore = \"log\"\n"})
	for name, f := range families(l, 1) {
		t.Run(name, func(t *testing.T) {
			x := talk{network: "tcp"}
			var err error
			x.to = netip.AddrPortFrom(f[1], 7000)
			if x.conn, err = l.Attacker.Dial("tcp", f[0], x.to, time.Second); err != nil {
				t.Fatal(err)
			}
			defer x.conn.Close()
			visit := func(port uint16, says string) {
				t.Helper()
				c, err := l.Attacker.Dial("tcp", f[0], netip.AddrPortFrom(f[1], port), time.Second)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				if _, err := io.WriteString(c, says); err != nil {
					t.Error(err)
				}
				io.ReadAll(c) // until the trap closes
			}
			for i, port := range []uint16{1, 7, 9, 11, 15, 19} {
				visit(port, []string{"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02\x00\x01",
					"\x13BitTorrent protocol"}[i%3])
			}
			untouched(t, d, f[0])
			visit(79, "root\r\n")
			visit(95, "root\r\n")
			if b, err := d.WaitBlock(f[0], 3*time.Second); err != nil || !b.Proven {
				t.Errorf("after two trap ports that were not visited by a browser: %+v, %v", b, err)
			}
			if err := x.say("still there"); err != nil {
				t.Errorf("a flow from before: %v", err)
			}
		})
	}
}

// TestFirewallAroundTheTrap: if another firewall keeps connections from the trap, or its
// answers from the peer, picket reports it.
func TestFirewallAroundTheTrap(t *testing.T) {
	for name, chain := range map[string]string{
		"a policy of drop": "type filter hook input priority filter; policy drop;\n" +
			"ct state established accept",
		"a reset": "type filter hook input priority filter;\n" +
			"tcp dport != 22 tcp flags syn reject with tcp reset",
		"behind all": "type filter hook input priority 300; policy drop;\nct state established accept",
		"no answers": "type filter hook output priority filter; policy drop;\ntcp sport 22 accept",
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			// IPv4 only: a chain that drops neighbour discovery would stop more than the trap.
			err := l.Target.NFT("table ip firewall {\nchain only {\n" + chain + "\n}\n}\n")
			if err != nil {
				t.Fatal(err)
			}
			d := start(t, l.Target, Options{})
			for _, port := range []uint16{1, 7, 9} {
				l.Attacker.Reaches(Source4(1), netip.AddrPortFrom(l.Target.V4, port), 200*time.Millisecond)
			}
			if _, err := d.WaitEvent(10*time.Second, "dropped by another firewall"); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestServiceAtATrapPort: a trap port that has a service refuses connections while the service
// is down. Otherwise its clients, who wait for the first bytes of the service, would prove
// themselves scanners.
func TestServiceAtATrapPort(t *testing.T) {
	l := newLab(t)
	var services []*Service
	for _, port := range []uint16{110, 143} {
		s, err := l.Target.Listen("tcp", port)
		if err != nil {
			t.Fatal(err)
		}
		services = append(services, s)
	}
	d := start(t, l.Target, Options{Config: "[tcp]\nclassic = \"1,110,143\"\n"})
	eventually(t, 10*time.Second, "143 is served", func() bool {
		_, err := l.Target.Run("nft", "get", "element", "inet", "picket", "lately", "{ tcp . 143 }")
		return err == nil
	})
	for _, s := range services {
		s.Close()
	}
	for name, f := range families(l, 1) {
		t.Run(name, func(t *testing.T) {
			for _, port := range []uint16{110, 143} {
				if l.Attacker.Reaches(f[0], netip.AddrPortFrom(f[1], port), time.Second) {
					t.Errorf("port %d of a service that is down takes connections", port)
				}
			}
			if !l.Attacker.Reaches(f[0], netip.AddrPortFrom(f[1], 1), time.Second) {
				t.Error("the trap takes no connection")
			}
			untouched(t, d, f[0])
		})
	}
}
