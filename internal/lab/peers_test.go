// SPDX-License-Identifier: MIT

package lab

import (
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// hold listens on a port and leaves the end of each connection to its client.
func hold(t *testing.T, h *Host, port uint16) {
	t.Helper()
	var listener net.Listener
	if err := h.Do(func() (err error) {
		listener, err = net.ListenTCP("tcp", &net.TCPAddr{Port: int(port)})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(io.Discard, c) // until the client ends it
				c.Close()
			}()
		}
	}()
}

// forge sends probes of sixty ports in the name of an address.
func forge(t *testing.T, l *Lab, from, to netip.Addr, seq uint32) {
	t.Helper()
	var packets []packet
	for port := uint16(1); port <= 60; port++ {
		packets = append(packets, tcp(from, to, segment{from: 40000, to: port, seq: seq + uint32(port), flags: syn}))
	}
	send(t, l.Attacker, packets...)
}

// Who has a connection with the host is not blocked for what others send in
// its name. Without one it is, and so is who has one with a trap.
func TestConnectedPeersAreSpared(t *testing.T) {
	l := newLab(t)
	hold(t, l.Target, 8080)
	d := start(t, l.Target, Options{})
	const looked = 3 * time.Second // picket looks every two
	peers := map[netip.Addr]netip.Addr{Source4(1): l.Target.V4, Source6(1): l.Target.V6}
	var connections []net.Conn
	for src, dst := range peers {
		c, err := l.Attacker.Dial("tcp", src, netip.AddrPortFrom(dst, 8080), time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		connections = append(connections, c)
	}
	time.Sleep(looked)
	for src, dst := range peers {
		forge(t, l, src, dst, 1000)
		if _, err := d.WaitEvent(3*time.Second, src.String(), "connected peer"); err != nil {
			t.Errorf("%s: %v", src, err)
		}
		if b, ok, err := d.Blocked(src); err != nil || ok {
			t.Errorf("%s is connected and blocked: %+v, %v", src, b, err)
		}
	}
	for _, c := range connections {
		c.Close()
	}
	time.Sleep(looked)
	for src, dst := range peers {
		forge(t, l, src, dst, 100_000)
		if _, err := d.WaitBlock(src, 3*time.Second); err != nil {
			t.Errorf("%s has no connection any more: %v", src, err)
		}
	}
}

// A connection of which picket could not know yet: its peer is blocked for the
// moment that it takes to look again.
func TestNewPeersAreFreed(t *testing.T) {
	l := newLab(t)
	hold(t, l.Target, 8080)
	d := start(t, l.Target, Options{})
	for src, dst := range map[netip.Addr]netip.Addr{Source4(1): l.Target.V4, Source6(1): l.Target.V6} {
		c, err := l.Attacker.Dial("tcp", src, netip.AddrPortFrom(dst, 8080), time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		forge(t, l, src, dst, 1000)
		eventually(t, 5*time.Second, "the peer is spared or freed", func() bool {
			if _, ok, err := d.Blocked(src); err != nil || ok {
				return false
			}
			said := strings.Join(d.Events(), "\n")
			return containsAll(said, []string{src.String(), "connection with"}) || containsAll(said, []string{src.String(), "connected peer"})
		})
		if !l.Attacker.Reaches(src, netip.AddrPortFrom(dst, 8080), time.Second) {
			t.Errorf("%s does not reach the service", src)
		}
	}
}
