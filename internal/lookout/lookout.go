// SPDX-License-Identifier: MIT

// Package lookout compares the kernel's answers about a host with its earlier ones: the
// peers, the services, the ended flows, the connections to the trap.
//
// It is pure: the caller asks, and hands the answers over. Each type is for one
// goroutine.
package lookout

import (
	"net/netip"
	"slices"
	"time"

	"picket/engine"
	"picket/internal/host"
	"picket/internal/state"
	"picket/nft"
)

// Peers are the addresses that this host has connections with. The zero value is none.
type Peers struct {
	known []netip.Addr
	Set   engine.Prefixes // of them
}

// Seen notes who is connected now, and reports whether that has changed.
func (p *Peers) Seen(now []netip.Addr) (changed bool) {
	if slices.Equal(now, p.known) {
		return false
	}
	p.known, p.Set = now, Set(now)
	return true
}

// Set returns the set of some addresses.
func Set(list []netip.Addr) engine.Prefixes {
	out := make([]netip.Prefix, len(list))
	for i, a := range list {
		out[i] = netip.PrefixFrom(a, a.BitLen())
	}
	return engine.NewPrefixes(out...)
}

const (
	// settled is the age at which a UDP socket on an ephemeral port counts as a service:
	// a resolver's sockets there wait for their answer, and WireGuard's waits for anybody.
	settled = time.Minute

	// serveAgain is the time after which the kernel hears again of a port that is still served.
	serveAgain = nft.LatelyTime / 12

	protocolUDP = 17
)

// Services are the ports that this host serves, with the times of each: first seen, and
// last told to the kernel. Make one with [NewServices].
type Services struct {
	first, told map[host.Service]time.Time
	ephemeral   uint16
}

// NewServices returns no services yet. Ephemeral is the lowest port of that range.
func NewServices(ephemeral uint16) *Services {
	return &Services{map[host.Service]time.Time{}, map[host.Service]time.Time{}, ephemeral}
}

// News notes the ports served now, and returns those to tell the kernel.
func (s *Services) News(list []host.Service, now time.Time) (out []nft.Service) {
	there := make(map[host.Service]bool, len(list))
	for _, x := range list {
		there[x] = true
		if s.first[x].IsZero() {
			s.first[x] = now
		}
		if x.Protocol == protocolUDP && x.Port >= s.ephemeral && now.Sub(s.first[x]) < settled {
			continue
		}
		if told, ok := s.told[x]; !ok || now.Sub(told) >= serveAgain {
			s.told[x] = now
			out = append(out, nft.Service{Protocol: x.Protocol, Port: x.Port, For: nft.LatelyTime})
		}
	}
	for x := range s.first {
		if !there[x] {
			delete(s.first, x)
		}
	}
	for x, told := range s.told {
		if now.Sub(told) >= nft.LatelyTime {
			delete(s.told, x)
		}
	}
	return out
}

// A ServedUntil is a port that is or was served, in the form of the file, and the time
// until which it counts as served.
type ServedUntil struct {
	Protocol uint8
	Port     uint16
	Until    time.Time
}

// File is the file of ports served lately. It is not in the state file: the loss of
// that must not lose these.
func File() state.File { return state.Of("served", 1) }

// Lately returns the ports served now, or within the last [nft.LatelyTime].
func (s *Services) Lately() (out []ServedUntil) {
	for x, told := range s.told {
		out = append(out, ServedUntil{x.Protocol, x.Port, told.Add(nft.LatelyTime)})
	}
	return out
}

// Recall notes the ports that an earlier run served lately, and returns those to tell
// the kernel. Whatever the clock was and is, none counts for longer than a port that is
// served now.
func (s *Services) Recall(list []ServedUntil, now time.Time) (out []nft.Service) {
	for _, x := range list {
		left := min(x.Until.Sub(now), nft.LatelyTime)
		if left <= 0 {
			continue
		}
		s.told[host.Service{Protocol: x.Protocol, Port: x.Port}] = now.Add(left - nft.LatelyTime)
		out = append(out, nft.Service{Protocol: x.Protocol, Port: x.Port, For: left})
	}
	return out
}

// Ended returns the sources without a living flow.
func Ended(sources []netip.Prefix, flows map[netip.Addr]bool) (out []netip.Prefix) {
	for _, p := range sources {
		lives := false
		for a := range flows {
			if lives = p.Contains(a); lives {
				break
			}
		}
		if !lives {
			out = append(out, p)
		}
	}
	return out
}

// A TrapWay counts the connections led to the trap, and the answers that left it. The
// zero value is none.
type TrapWay struct {
	led, answered uint64
	told          bool
}

// Cut notes both numbers. It reports, once, that since the last call connections were
// led there and none was answered: another firewall drops them, or the answers.
func (w *TrapWay) Cut(led, answered uint64) bool {
	cut := led > w.led && answered <= w.answered && !w.told
	w.led, w.answered, w.told = led, answered, w.told || cut
	return cut
}
