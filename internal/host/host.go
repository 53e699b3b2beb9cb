// SPDX-License-Identifier: MIT

// Package host finds the addresses that the host depends on and must never block: its
// own, the next hops of its routes, the other ends of its point-to-point links, the
// resolvers and time servers in its files.
//
// It reads its network namespace over rtnetlink, and files below /etc and /run.
// It changes nothing and needs no privilege. Memory does not grow with the number
// of routes.
package host

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"sync"
)

// A Friend is a prefix that must not be blocked, and the reason in words.
type Friend struct {
	Prefix netip.Prefix `json:"prefix"`
	Why    string       `json:"why"`
}

// Wanted selects the friends to find.
type Wanted struct{ Own, Gateways, Resolvers bool }

// A Host finds friends in the network namespace of the calling thread. The zero
// value is ready. Its methods may be called at the same time.
type Host struct {
	mu   sync.Mutex
	hops hops // of the routes; nil: unknown
}

// Friends returns today's friends. Loopback is always one of them.
func (h *Host) Friends(w Wanted) ([]Friend, error) {
	out := []Friend{
		{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
		{netip.MustParsePrefix("::1/128"), "loopback"},
	}
	own, err := ownAddresses()
	if err != nil {
		return nil, err
	}
	for _, x := range own {
		if w.Own {
			out = append(out, Friend{single(x.prefix.Addr()), "own address"})
		}
		if w.Gateways && x.peer.IsValid() {
			out = append(out, Friend{single(x.peer), "other end of a point-to-point link"})
		}
	}
	if w.Gateways {
		via, err := h.gateways()
		if err != nil {
			return nil, err
		}
		for _, a := range via {
			out = append(out, Friend{single(a), "gateway"})
		}
	}
	if w.Resolvers {
		out = append(out, configured(sources)...)
	}
	return out, nil
}

// gateways returns the next hops of all routes, in order. It asks the kernel once:
// Watch hears of changes.
func (h *Host) gateways() ([]netip.Addr, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.hops == nil {
		found, err := nextHops()
		if err != nil {
			return nil, err
		}
		h.hops = found
	}
	return slices.SortedFunc(maps.Keys(h.hops), netip.Addr.Compare), nil
}

func single(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	return netip.PrefixFrom(a, a.BitLen())
}

// EphemeralPort returns the first port for the host's own connections
// (net.ipv4.ip_local_port_range, for IPv6 too), or 0 if it is unknown.
func EphemeralPort() uint16 {
	var first uint16
	if b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		// 0, without a number there, is the engine's default.
		_, _ = fmt.Sscan(string(b), &first)
	}
	return first
}
