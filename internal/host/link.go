// SPDX-License-Identifier: MIT

package host

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// OnLink returns the prefixes of the host's links, each once: who has an
// address of one is a neighbour. They are those of the host's own addresses
// and, where a host has an address without one (DHCPv6 gives single addresses,
// RFC 8415, 21.6), those that a router announces as on-link (RFC 4861, 6.3.4),
// which are routes of the kernel's or of a router advertisement. A route that
// the operator made says who is behind a link and not who is on it.
func OnLink() (out []netip.Prefix, err error) {
	list, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list own addresses: %w", err)
	}
	seen := make(map[netip.Prefix]bool)
	add := func(p netip.Prefix) {
		if p.IsValid() && !seen[p] {
			seen[p] = true
			out = append(out, p)
		}
	}
	for _, x := range list {
		a, ok := netip.AddrFromSlice(x.IP)
		if ones, _ := x.Mask.Size(); ok {
			add(netip.PrefixFrom(a.Unmap().WithZone(""), ones).Masked())
		}
	}
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_V6, &netlink.Route{Table: unix.RT_TABLE_MAIN, Type: unix.RTN_UNICAST}, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_TYPE)
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	for _, r := range routes {
		if r.Protocol != unix.RTPROT_KERNEL && r.Protocol != unix.RTPROT_RA || isDefault(r.Dst) || r.Gw != nil || r.Via != nil || len(r.MultiPath) > 0 {
			continue
		}
		if a, ok := netip.AddrFromSlice(r.Dst.IP); ok {
			ones, _ := r.Dst.Mask.Size()
			add(netip.PrefixFrom(a, ones).Masked())
		}
	}
	return out, nil
}
