// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"time"

	"picket/internal/lab"
)

// A scene is something that ordinary people and programs do to a server. Its addresses are its
// own, so a blocked address names the scene.
type scene struct {
	name string
	act  func(*actor) error
	near bool // they are neighbours of the server
	host bool // and the first one is a host that runs a program
}

// scenes returns ordinary life. The order gives each its addresses: see
// [actor.who].
func scenes() []scene {
	return []scene{
		{name: "browsers, happy eyeballs", act: browsers},
		{name: "retries to a closed port", act: retries},
		{name: "traceroute: UDP, ICMP, TCP", act: traceroutes},
		{name: "ping, with fragments", act: pings},
		{name: "DNS answers that come late", act: lateDNS},
		{name: "NTP", act: ntp},
		{name: "DHCP", act: dhcp},
		{name: "mDNS, LLMNR, WS-Discovery", act: multicastDNS},
		{name: "SSDP", act: ssdp},
		{name: "NetBIOS broadcasts and queries", act: netbios},
		{name: "FTP with ident", act: ftp},
		{name: "monitoring of ten services", act: monitoring},
		{name: "connections that outlive conntrack", act: outlive},
		{name: "a rebooted peer", act: rebootedPeer},
		{name: "this host rebooted", act: rebootedHost},
		{name: "this host rebooted, 16 NFS connections", act: rebootedNFS},
		{name: "load balancer's health checks", act: balancer},
		{name: "office behind one address", act: office},
		{name: "mail program guesses settings", act: autoconfig},
		{name: "printer is searched for", act: printer},
		{name: "NFS client of a server that is down", act: nfsClient},
		{name: "domain member looks for its controller", act: domainMember},
		{name: "VPN and tunnels", act: tunnels},
		{name: "SNMP, syslog, RIP, Wake-on-LAN", act: datagrams},
		{name: "backscatter of a forgery", act: backscatter},
		{name: "admin tries services by hand", act: admin},
		{name: "answers to searches: SSDP, mDNS, WS-Discovery, LLMNR", act: answers, near: true},
		{name: "peers of a BitTorrent client that ended", act: torrent},
		{name: "calls, WebRTC, a game and QUIC that ended", act: calls},
		{name: "a page with links to wrong ports", act: links},
		{name: "monitoring of two dozen services", act: widely},
		{name: "lwIP, W5500, tcptraceroute", act: devices},
		{name: "avahi answers searches", act: avahi, near: true, host: true},
		{name: "minissdpd answers searches", act: minissdpd, near: true, host: true},
		{name: "systemd-resolved answers searches", act: resolved, near: true, host: true},
		{name: "aria2 loses a BitTorrent peer", act: aria2},
		{name: "sipp loses an exchange in the midst of calls", act: sipp},
		{name: "chrony loses its time server", act: chrony},
	}
}

// An actor plays one scene.
type actor struct {
	*site
	ctx   context.Context // of the whole run
	scene int
	near  bool // the innocents are neighbours of the server
	host  *lab.Host
	root  string    // of unpacked packages
	until time.Time // what is not done by then is skipped
}

// lifeLimit bounds a scene: if its addresses are blocked, it waits for answers in vain.
const lifeLimit = 45 * time.Second

// patience is how long a client waits for a connection.
const patience = 500 * time.Millisecond

// perScene is how many addresses a scene has.
const perScene = 2

// who returns the i-th innocent of the scene, from 0, in both families.
func (a *actor) who(i int) (v4, v6 netip.Addr) {
	n := a.scene*perScene + i%perScene + 1
	if a.near {
		return neighbour4(n), neighbour6(n)
	}
	return innocent4(n), innocent6(n)
}

// both calls f for both families with the scene's i-th innocent and the server.
func (a *actor) both(i int, f func(src, dst netip.Addr) error) error {
	v4, v6 := a.who(i)
	return errors.Join(f(v4, a.Target.V4), f(v6, a.Target.V6))
}

// playLife plays all scenes side by side. It fails if a scene cannot be played.
func playLife(ctx context.Context, s *site, root string, conntrack bool) error {
	if conntrack {
		// What takes five days takes seconds here.
		if err := s.Target.Sysctl(
			"net/netfilter/nf_conntrack_tcp_timeout_established", "3",
			"net/netfilter/nf_conntrack_tcp_timeout_close", "1",
			"net/netfilter/nf_conntrack_tcp_timeout_fin_wait", "1",
			"net/netfilter/nf_conntrack_tcp_timeout_close_wait", "1",
			"net/netfilter/nf_conntrack_tcp_timeout_last_ack", "1",
			"net/netfilter/nf_conntrack_tcp_timeout_time_wait", "1",
			"net/netfilter/nf_conntrack_udp_timeout", "1", "net/netfilter/nf_conntrack_udp_timeout_stream",
			"1",
			"net/netfilter/nf_conntrack_icmp_timeout", "1", "net/ipv4/tcp_fin_timeout", "1"); err != nil {
			return err
		}
	}
	all := scenes()
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, sc := range all {
		a := &actor{site: s, ctx: ctx, scene: i, near: sc.near, root: root}
		if sc.host {
			v4, v6 := a.who(0)
			var err error
			if a.host, err = s.AddNeighbour(fmt.Sprintf("near%d", i), v4, v6); err != nil {
				return err
			}
		}
		wg.Go(func() {
			a.until = time.Now().Add(lifeLimit)
			if err := sc.act(a); err != nil {
				errs[i] = fmt.Errorf("%s: %w", sc.name, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// knock connects to ports, one after the other, and closes at once. In most scenes nobody
// answers.
func (a *actor) knock(src, dst netip.Addr, ports ...uint16) error {
	for _, p := range ports {
		if time.Now().After(a.until) {
			return a.ctx.Err()
		}
		c, err := a.Attacker.Dial("tcp", src, netip.AddrPortFrom(dst, p), patience)
		if a.ctx.Err() != nil {
			return a.ctx.Err()
		}
		if err == nil {
			c.Close()
		} else if !refused(err) {
			return err
		}
	}
	return nil
}

// refused reports whether a connection failed in an ordinary way.
func refused(err error) bool {
	var op *net.OpError
	return errors.As(err, &op)
}

// datagram sends one datagram with a payload, from a given port.
func (a *actor) datagram(from, to netip.AddrPort, payload []byte) error {
	if a.ctx.Err() != nil {
		return a.ctx.Err()
	}
	return a.Attacker.Do(func() error {
		if to.Addr().Is6() && to.Addr().IsMulticast() {
			i, err := net.InterfaceByName("eth0")
			if err != nil {
				return err
			}
			to = netip.AddrPortFrom(to.Addr().WithZone(strconv.Itoa(i.Index)), to.Port())
		}
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(from))
		for end := time.Now().Add(time.Second); errors.Is(err, syscall.EADDRINUSE) &&
			time.Now().Before(end); {
			// A process that is just starting still has it.
			time.Sleep(time.Millisecond)
			c, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(from))
		}
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.WriteToUDPAddrPort(payload, to)
		if err != nil && refused(err) {
			return nil // an ICMP error for an earlier one
		}
		return err
	})
}

// ask sends n datagrams to a port of the server, each from another port.
func (a *actor) ask(src, dst netip.Addr, port uint16, n int, payload []byte) error {
	for range n {
		if time.Now().After(a.until) {
			return a.ctx.Err()
		}
		if err := a.datagram(netip.AddrPortFrom(src, 0), netip.AddrPortFrom(dst, port), payload); err != nil {
			return err
		}
		pause(a.ctx, 100*time.Millisecond)
	}
	return a.ctx.Err()
}

// run runs a tool at the far end. Its exit code does not count: a traceroute to a closed port
// fails, but has sent its packets.
func (a *actor) run(argv ...string) error {
	ctx, cancel := context.WithTimeout(a.ctx, 40*time.Second)
	defer cancel()
	cmd := a.Attacker.Command(ctx, argv[0], argv[1:]...)
	if err := cmd.Start(); err != nil {
		return err
	}
	cmd.Wait()
	if cmd.ProcessState.ExitCode() == 127 || ctx.Err() != nil {
		return fmt.Errorf("%q does not work here", argv[0])
	}
	return nil
}
