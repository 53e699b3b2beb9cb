// SPDX-License-Identifier: MIT

package behind

import (
	"fmt"
	"net/netip"
	"time"
)

// A scan from behind this host asks more addresses than these at one port, or ports at
// one address, that give no connection within the window, and hardly any that do. A
// worm asks random addresses, and one in fifty answers; most answer a mail server, a
// monitoring system or a browser.
const (
	mostUnanswered = 25
	answeredShare  = 3 // fewer than one answer to so many questions without one
	window         = 10 * time.Minute
	tellAgain      = time.Hour
)

// Bounds of memory: some 4 MiB at the worst.
const (
	mostDevices = 256
	mostTallies = 8
)

// Devices counts the requests of the addresses behind this host. The zero value is
// ready.
type Devices struct {
	by map[netip.Addr]*device
}

// A device is one address behind this host.
type device struct {
	seen, told time.Time
	ports      map[uint16]*tally[netip.Addr] // the addresses asked at a port
	targets    map[netip.Addr]*tally[uint16] // the ports asked of an address
}

// A tally counts questions since a time.
type tally[K comparable] struct {
	since      time.Time
	unanswered map[K]struct{} // mostUnanswered and one at most
	answered   int
}

// A Scan is a scan by a device: of many addresses at Port or, if that is 0, of many
// ports of Target.
type Scan struct {
	Port   uint16
	Target netip.Addr
	Asked  int // addresses or ports without an answer
	Gave   int // answers
}

// Evidence says in words what was counted.
func (s *Scan) Evidence() string {
	what := fmt.Sprintf("%d addresses at port %d", s.Asked, s.Port)
	if s.Target.IsValid() {
		what = fmt.Sprintf("%d ports of %s", s.Asked, s.Target)
	}
	return fmt.Sprintf("%s gave no connection within ten minutes, %d did", what, s.Gave)
}

// Asked books a device's request for a connection, and whether it was answered. It
// returns a scan by the device, unless it has returned it within the hour.
func (d *Devices) Asked(from netip.Addr, to netip.AddrPort, answered bool, now time.Time) (s Scan, is bool) {
	x := d.device(from, now)
	port := note(&x.ports, to.Port(), to.Addr(), answered, now)
	target := note(&x.targets, to.Addr(), to.Port(), answered, now)
	switch {
	case !x.told.IsZero() && now.Sub(x.told) < tellAgain:
		return s, false
	case target.scans():
		s = Scan{Target: to.Addr(), Asked: len(target.unanswered), Gave: target.answered}
	case port.scans() && !peers(to.Port()):
		s = Scan{Port: to.Port(), Asked: len(port.unanswered), Gave: port.answered}
	default:
		return s, false
	}
	x.told = now
	return s, true
}

// peers reports whether a port is one of a peer-to-peer network: most of the peers that
// its lists name are gone.
func peers(port uint16) bool {
	switch port {
	case 4662, 6346, 8333, 9333, 30303, 51413: // eMule, Gnutella, Bitcoin, Ethereum, Transmission
		return true
	}
	return port >= 6881 && port <= 6889 // BitTorrent
}

// device returns the device with an address. If there are too many, the one not seen
// for longest goes.
func (d *Devices) device(a netip.Addr, now time.Time) *device {
	x := d.by[a]
	if x == nil {
		if d.by == nil {
			d.by = map[netip.Addr]*device{}
		}
		x = &device{ports: map[uint16]*tally[netip.Addr]{}, targets: map[netip.Addr]*tally[uint16]{}}
		if len(d.by) >= mostDevices {
			delete(d.by, oldest(d.by, func(y *device) time.Time { return y.seen }))
		}
		d.by[a] = x
	}
	x.seen = now
	return x
}

// note books a question in the tally of a key.
func note[K, V comparable](in *map[K]*tally[V], key K, what V, answered bool, now time.Time) *tally[V] {
	t := (*in)[key]
	if t == nil || now.Sub(t.since) > window || now.Before(t.since) {
		if t == nil && len(*in) >= mostTallies {
			delete(*in, oldest(*in, func(t *tally[V]) time.Time { return t.since }))
		}
		t = &tally[V]{since: now, unanswered: map[V]struct{}{}}
		(*in)[key] = t
	}
	switch {
	case answered:
		t.answered++
	case len(t.unanswered) <= mostUnanswered:
		t.unanswered[what] = struct{}{}
	}
	return t
}

func (t *tally[K]) scans() bool {
	return len(t.unanswered) > mostUnanswered && t.answered*answeredShare < len(t.unanswered)
}

// oldest returns the key whose value has the earliest time.
func oldest[K comparable, V any](in map[K]V, at func(V) time.Time) (key K) {
	var first time.Time
	for k, v := range in {
		if t := at(v); first.IsZero() || t.Before(first) {
			key, first = k, t
		}
	}
	return key
}
