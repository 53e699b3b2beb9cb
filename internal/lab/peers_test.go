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

// blocking blocks every source above a trigger, unless it is spared.
const blocking = "block.style = \"block\"\n"

// answerTime is enough for a client to repeat, after a second, a SYN that came while the engine
// judged.
const answerTime = 2 * time.Second

// hold listens on a port. Clients close the connections, the listener does not.
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
				_, _ = io.Copy(io.Discard, c) // until the client's end
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
		packets = append(packets, tcp(from, to,
			segment{from: 40000, to: port, seq: seq + uint32(port), flags: syn}))
	}
	send(t, l.Attacker, packets...)
}

// TestConnectedPeersAreSpared: a connected peer is not blocked for probes in its name. After
// the connection it is, and so is a peer with a connection to a trap.
func TestConnectedPeersAreSpared(t *testing.T) {
	l := newLab(t)
	hold(t, l.Target, 8080)
	d := start(t, l.Target, Options{Config: blocking})
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

// TestNewPeersAreSpared: the peer of a connection is spared, even if the connection is newer
// than the last look at the sockets. After its end the peer is not spared.
func TestNewPeersAreSpared(t *testing.T) {
	l := newLab(t)
	hold(t, l.Target, 8080)
	d := start(t, l.Target, Options{Config: blocking})
	connect := func(src, dst netip.Addr) net.Conn {
		c, err := l.Attacker.Dial("tcp", src, netip.AddrPortFrom(dst, 8080), time.Second)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for i, dst := range []netip.Addr{l.Target.V4, l.Target.V6} {
		peer, former := Source4(1), Source4(2)
		if dst.Is6() {
			peer, former = Source6(1), Source6(2)
		}
		c := connect(peer, dst)
		defer c.Close()
		forge(t, l, peer, dst, uint32(1000*i))
		if _, err := d.WaitEvent(3*time.Second, "event=ignore source="+peer.String(),
			"connected peer"); err != nil {
			t.Errorf("%s: %v", peer, err)
		}
		if !l.Attacker.Reaches(peer, netip.AddrPortFrom(dst, 8080), answerTime) {
			t.Errorf("%s does not reach the service", peer)
		}
		for _, ev := range d.Events() {
			if containsAll(ev, []string{"event=block source=" + peer.String()}) {
				t.Errorf("%s has a connection and was blocked: %s", peer, ev)
			}
		}
		connect(former, dst).Close()
		time.Sleep(50 * time.Millisecond)                // ended by both sides
		forge(t, l, former, dst, uint32(100_000+1000*i)) // another scan, not a copy of the first
		if _, err := d.WaitBlock(former, 3*time.Second); err != nil {
			t.Errorf("%s has no connection any more: %v", former, err)
		}
	}
}

// TestPeersAreNotHeld: with trigger 0 the kernel holds a source until the engine has judged. It
// does not hold a peer for probes in its name, even if these are too many to be mirrored and
// judged.
func TestPeersAreNotHeld(t *testing.T) {
	l := newLab(t)
	hold(t, l.Target, 8080)
	d := start(t, l.Target, Options{Config: blocking + "[tcp]\ntrigger = 0\n"})
	for src, dst := range map[netip.Addr]netip.Addr{Source4(1): l.Target.V4, Source6(1): l.Target.V6} {
		c, err := l.Attacker.Dial("tcp", src, netip.AddrPortFrom(dst, 8080), time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for i := range 30 { // to one port, which is mirrored once a second
			send(t, l.Attacker, tcp(src, dst,
				segment{from: 40000, to: 111, seq: uint32(1000 + i), flags: syn}))
			time.Sleep(10 * time.Millisecond)
		}
		if !l.Attacker.Reaches(src, netip.AddrPortFrom(dst, 8080), time.Second) {
			t.Errorf("%s is held", src)
		}
		if b, ok, err := d.Blocked(src); err != nil || ok {
			t.Errorf("%s is blocked: %+v, %v", src, b, err)
		}
	}
}

// TestUntrackedPeersAreFreed: connection tracking ignores a service, so the kernel does not
// note its peers. A peer may be blocked until picket's next look at the sockets.
func TestUntrackedPeersAreFreed(t *testing.T) {
	l := newLab(t)
	hold(t, l.Target, 8080)
	d := start(t, l.Target, Options{Config: blocking})
	const rules = "add table ip u; add chain ip u in { type filter hook prerouting priority raw; }; add " +
		"chain ip u out { type filter hook output priority raw; }; " +
		"add rule ip u in tcp dport 8080 notrack; add rule ip u out tcp sport 8080 notrack"
	if _, err := l.Target.Run("nft", rules); err != nil {
		t.Fatal(err)
	}
	src := Source4(1)
	c, err := l.Attacker.Dial("tcp", src, netip.AddrPortFrom(l.Target.V4, 8080), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	forge(t, l, src, l.Target.V4, 1000)
	eventually(t, 5*time.Second, "the peer is spared or freed", func() bool {
		said := strings.Join(d.Events(), "\n")
		_, blocked, err := d.Blocked(src)
		return err == nil && !blocked &&
			(strings.Contains(said, "has a connection with it") || strings.Contains(said, "connected peer"))
	})
	if !l.Attacker.Reaches(src, netip.AddrPortFrom(l.Target.V4, 8080), answerTime) {
		t.Errorf("%s does not reach the service", src)
	}
}
