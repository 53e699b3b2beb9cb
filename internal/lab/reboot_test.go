// SPDX-License-Identifier: MIT

package lab

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// reboot removes picket's table, connection tracking and sockets from a host's kernel. The
// daemon must have ended.
func reboot(t *testing.T, h *Host, end func()) {
	t.Helper()
	// A host that loses its power closes no connection.
	if err := h.NFT("table inet power {\nchain off {\ntype filter hook output priority 0; policy drop;\n}\n" +
		"}\n"); err != nil {
		t.Fatal(err)
	}
	end()
	for _, command := range [][]string{{"nft", "flush", "ruleset"}, {"conntrack", "-F"}} {
		if _, err := h.Run(command[0], command[1:]...); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReboot: clients that come back after a reboot are no scanners, even with trigger 0. A
// service that starts later than picket counts as served if it was within the last hour. Peers
// of connections from before get resets.
func TestReboot(t *testing.T) {
	l := newLab(t)
	config := hotConfig
	d := begin(t, l.Target, Options{Config: config})
	services := []*Service{}
	for _, network := range []string{"tcp", "udp"} {
		s, err := l.Target.Listen(network, 700)
		if err != nil {
			t.Fatal(err)
		}
		services = append(services, s)
	}
	listed := func(element string) func() bool {
		return func() bool {
			_, err := l.Target.Run("nft", "get", "element", "inet", "picket", "lately", "{ "+element+" }")
			return err == nil
		}
	}
	for _, element := range []string{"tcp . 700", "udp . 700"} {
		// While nobody probes, services are looked at every 15 s.
		eventually(t, 25*time.Second, element+" is served", listed(element))
	}
	accepted := make(chan net.Conn, 100)
	var listener *net.TCPListener
	err := l.Attacker.Do(func() (err error) {
		listener, err = net.ListenTCP("tcp", &net.TCPAddr{Port: 50000})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	var ours, theirs []net.Conn
	for _, to := range []netip.Addr{Source4(1), Source6(1)} {
		for range 5 {
			c, err := l.Target.Dial("tcp", netip.Addr{}, netip.AddrPortFrom(to, 50000), time.Second)
			if err != nil {
				t.Fatal(err)
			}
			ours, theirs = append(ours, c), append(theirs, <-accepted)
		}
	}
	d.Kill()
	reboot(t, l.Target, func() {
		for _, s := range services {
			s.Close()
		}
		for _, c := range ours {
			c.(*net.TCPConn).SetLinger(0) // the kernel sends nothing at the close
			c.Close()
		}
	})
	again, err := d.Again()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { again.Stop() })
	for _, element := range []string{"tcp . 700", "udp . 700"} {
		eventually(t, 5*time.Second, element+" was served", listed(element))
	}
	for name, f := range families(l, 1) {
		send(t, l.Attacker, clientSYN(f[0], f[1], 40000, 700), udp(f[0], f[1], 40000, 700, "x"))
		defer func() {
			witness(t, l, again, map[string]netip.Addr{"IPv4": Source4(9), "IPv6": Source6(9)}[name], f[1])
			untouched(t, again, f[0])
		}()
	}
	for _, c := range theirs {
		io.WriteString(c, "are you there?")
		c.SetReadDeadline(time.Now().Add(3 * time.Second))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("a peer from before the reboot: %v, want a reset", err)
		}
		c.Close()
	}
}
