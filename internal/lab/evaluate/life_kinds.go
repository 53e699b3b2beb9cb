// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"
)

// Packets that arrive where every port is watched: programs use high ports, and people mistype
// them.

// bursts sends n datagrams from one port of an innocent to each of the server's.
func (a *actor) bursts(n int, i int, from uint16, payload int, to ...uint16) error {
	return a.both(i, func(src, dst netip.Addr) error {
		for range n {
			for _, port := range to {
				if err := a.datagram(addrPort(src, from), addrPort(dst, port),
					make([]byte, payload)); err != nil {
					return err
				}
			}
			pause(a.ctx, 20*time.Millisecond)
		}
		return a.ctx.Err()
	})
}

// answers are neighbours that answer a search of the link, for devices or names, each from the
// port of its protocol, and for SSDP from another port of the device.
func answers(a *actor) error {
	for search := range uint16(5) {
		for i := range perScene {
			for n, from := range []uint16{1900, 49200 + search, 5353, 3702, 5355} {
				if err := a.bursts(3, i, from, 300, 40000+5*search+uint16(n)); err != nil {
					return err
				}
			}
		}
		pause(a.ctx, time.Second)
	}
	return nil
}

// torrent is two peers of a BitTorrent client that has ended: uTP, DHT, TCP.
func torrent(a *actor) error {
	for range 20 {
		for i := range perScene {
			if err := a.bursts(1, i, 6881, 60, 51413, 6881); err != nil {
				return err
			}
			if err := a.both(i, func(src, dst netip.Addr) error {
				return a.knock(src, dst,
					51413)
			}); err != nil {
				return err
			}
		}
		pause(a.ctx, 300*time.Millisecond)
	}
	return nil
}

// calls are the streams of a call that has ended at this end only, the candidates of a WebRTC
// peer, a game, and a QUIC connection whose port changed.
func calls(a *actor) error {
	for _, x := range []struct {
		i    int
		from uint16
		size int
		to   []uint16
	}{
		{0, 16384, 172, []uint16{40000, 40001, 40002, 40003}},
		{0, 52000, 100, []uint16{51000, 51001, 51002, 51003, 51004, 51005}},
		{1, 3074, 80, []uint16{3074, 27015}},
		{1, 55555, 1200, []uint16{443}},
	} {
		if err := a.bursts(30, x.i, x.from, x.size, x.to...); err != nil {
			return err
		}
	}
	return nil
}

// links are visitors of a page that names the wrong ports.
func links(a *actor) error {
	for range 5 {
		for i := range perScene {
			if err := a.both(i, func(src, dst netip.Addr) error {
				return a.knock(src, dst, 8080, 8080, 3000,
					81, 9999)
			}); err != nil {
				return err
			}
		}
		pause(a.ctx, 500*time.Millisecond)
	}
	return nil
}

// widely is a monitoring system that checks two dozen services, and one more round each minute;
// here, each second.
func widely(a *actor) error {
	for range 5 {
		if err := a.both(0, func(src, dst netip.Addr) error {
			return a.knock(src, dst, 21, 53, 88, 110, 143, 389, 465, 587, 636, 993, 995, 1883, 2049, 3306,
				5432, 5666, 5672, 6379, 8080, 8443, 9100, 10050)
		}); err != nil {
			return err
		}
		pause(a.ctx, time.Second)
	}
	return nil
}

// devices send packets that raw scanners send too: lwIP on a microcontroller, with MSS as its
// only option, without DF, with a TTL of 255; a W5500, with a window of 1024 and DF; an
// administrator's tcptraceroute, with a window of 0.
func devices(a *actor) error {
	v4, _ := a.who(0)
	other, _ := a.who(1)
	syn := func(src netip.Addr, port uint16, more ...string) error {
		return a.run(append([]string{"hping3", "-q", "-n", "-I", "eth0", "-a", src.String(), "-S", "-L", "0",
			"-p", strconv.Itoa(int(port)),
			"-c", "8", "-i", "u200000", a.Target.V4.String()}, more...)...)
	}
	for _, port := range []uint16{8883, 80, 443} {
		if err := syn(v4, port, "-w", "5840", "--tcp-mss", "1460", "-t", "255", "-s",
			fmt.Sprint(49153+port%1000)); err != nil {
			return err
		}
		if err := syn(other, port, "-w", "1024", "--tcp-mss", "1460", "-t", "128", "-y"); err != nil {
			return err
		}
		if err := syn(other, port, "-w", "0", "-t", "3"); err != nil {
			return err
		}
	}
	return nil
}
