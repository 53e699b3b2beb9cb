// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"picket/internal/lab"
)

// Connections of which one end is gone, or has forgotten them.

// silently lets f end connections between two addresses without a packet, as a reboot does:
// packets of h are dropped.
func (a *actor) silently(h *lab.Host, table string, far netip.Addr, f func()) error {
	family, direction := "ip", "daddr"
	if far.Is6() {
		family = "ip6"
	}
	if h == a.Attacker {
		direction = "saddr"
	}
	if err := h.NFT(fmt.Sprintf("table inet %s { chain out { type filter hook output priority -400\n"+
		" %s %s %s meta l4proto tcp drop\n}\n}", table, family, direction, far)); err != nil {
		return err
	}
	f()
	time.Sleep(50 * time.Millisecond)
	return h.NFT("delete table inet " + table)
}

// connections opens n connections from src to a port of the server.
func (a *actor) connections(src netip.Addr, to netip.AddrPort, n int) (conns []net.Conn, err error) {
	for range n {
		if a.ctx.Err() != nil {
			return conns, a.ctx.Err()
		}
		c, err := a.Attacker.Dial("tcp", src, to, 2*time.Second)
		if err != nil {
			return conns, err
		}
		conns = append(conns, c)
		if _, err := c.Write([]byte("hello")); err != nil {
			return conns, err
		}
	}
	return conns, nil
}

// speak writes to connections. The other ends of some are gone.
func speak(conns []net.Conn) {
	for range 3 {
		for _, c := range conns {
			c.Write([]byte("still there?"))
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(500 * time.Millisecond)
	}
	for _, c := range conns {
		c.Close()
	}
}

// outlive are connections that are silent for longer than connection tracking remembers. Then
// data comes, or the end. Some services are gone by then.
func outlive(a *actor) error {
	old, err := a.hold(a.Target, 222)
	if err != nil {
		return err
	}
	for i := range perScene {
		if err := a.both(i, func(src, dst netip.Addr) error {
			alive, err := a.connections(src, addrPort(dst, 22), 10)
			if err != nil {
				return err
			}
			dead, err := a.connections(src, addrPort(dst, 222), 10)
			if err != nil {
				return err
			}
			time.Sleep(300 * time.Millisecond)
			old.each(func(c *net.TCPConn) { c.Close() }) // one half only: the client's half stays open
			pause(a.ctx, 5*time.Second)
			speak(append(alive, dead...))
			return nil
		}); err != nil {
			return err
		}
	}
	return old.Close()
}

// rebootedPeer are clients that lose their connections in a reboot. The server still sends, and
// gets resets.
func rebootedPeer(a *actor) error {
	for i := range perScene {
		if err := a.both(i, func(src, dst netip.Addr) error {
			port := uint16(300 + 2*i)
			if src.Is6() {
				port++
			}
			service, err := a.hold(a.Target, port)
			if err != nil {
				return err
			}
			conns, err := a.connections(src, addrPort(dst, port), 10)
			if err != nil {
				return err
			}
			time.Sleep(300 * time.Millisecond)
			if err := a.silently(a.Attacker, fmt.Sprintf("reboot%d", port), src,
				func() { reset(conns) }); err != nil {
				return err
			}
			pause(a.ctx, 4*time.Second)
			service.each(func(c *net.TCPConn) { c.Write([]byte("news")) })
			time.Sleep(500 * time.Millisecond)
			if _, err := a.connections(src, addrPort(dst, port), 3); err != nil {
				return err
			}
			return service.Close()
		}); err != nil {
			return err
		}
	}
	return nil
}

// reset ends connections by a reset.
func reset(conns []net.Conn) {
	for _, c := range conns {
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
}

// rebootedHost is the server after a reboot: clients send to six services that are not up yet.
func rebootedHost(a *actor) error {
	return a.both(0, func(src, dst netip.Addr) error {
		base := uint16(310)
		if src.Is6() {
			base += 10
		}
		var conns []net.Conn
		var services []*holder
		for port := base; port < base+6; port++ {
			s, err := a.hold(a.Target, port)
			if err != nil {
				return err
			}
			services = append(services, s)
			c, err := a.connections(src, addrPort(dst, port), 3)
			if err != nil {
				return err
			}
			conns = append(conns, c...)
		}
		time.Sleep(300 * time.Millisecond)
		if err := a.silently(a.Target, fmt.Sprintf("reboot%d", base), src, func() {
			for _, s := range services {
				s.each(func(c *net.TCPConn) { c.SetLinger(0) })
				s.Close()
			}
		}); err != nil {
			return err
		}
		pause(a.ctx, 4*time.Second)
		speak(conns)
		return nil
	})
}

// rebootedNFS is the server after a reboot. It had mounted a file system over 16 connections
// (nconnect=16), from reserved ports as NFS uses them. The NFS server still sends on each.
func rebootedNFS(a *actor) error {
	return a.both(0, func(src, dst netip.Addr) error {
		l := &holder{}
		if err := a.Attacker.Do(func() (err error) {
			l.Listener, err = net.Listen("tcp", addrPort(src, 2049).String())
			return err
		}); err != nil {
			return err
		}
		defer l.Listener.Close()
		accepted := make(chan net.Conn, 16)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				accepted <- c
			}
		}()
		var mounts, ends []net.Conn
		for n := range 16 {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			var c net.Conn
			err := a.Target.Do(func() (err error) {
				d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(addrPort(dst, uint16(700+n)))}
				c, err = d.DialContext(ctx, "tcp", addrPort(src, 2049).String())
				return err
			})
			cancel()
			if err != nil {
				return err
			}
			mounts = append(mounts, c)
			ends = append(ends, <-accepted)
		}
		name := "nfs4"
		if src.Is6() {
			name = "nfs6"
		}
		if err := a.silently(a.Target, name, src, func() { reset(mounts) }); err != nil {
			return err
		}
		pause(a.ctx, 3*time.Second)
		speak(ends)
		return nil
	})
}
