// SPDX-License-Identifier: MIT

package host

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"picket/internal/nlmsg"
)

// sizeAddress is the size of struct ifaddrmsg (include/uapi/linux/if_addr.h).
const sizeAddress = 8

// An ownAddress is an address of the host, with its link's prefix, and the other
// end of a point-to-point link.
type ownAddress struct {
	prefix netip.Prefix
	peer   netip.Addr
}

// ownAddresses asks the kernel.
func ownAddresses() (out []ownAddress, err error) {
	err = dump(unix.RTM_GETADDR, make([]byte, sizeAddress), func(kind uint16, body []byte) {
		if kind != unix.RTM_NEWADDR || len(body) < sizeAddress {
			return
		}
		var local, other netip.Addr
		for kind, value := range nlmsg.Attributes(body[sizeAddress:]) {
			switch a, _ := netip.AddrFromSlice(value); kind {
			case unix.IFA_LOCAL:
				local = a
			case unix.IFA_ADDRESS: // the peer's, where there is a local one that differs
				other = a
			}
		}
		if !local.IsValid() {
			local = other
		}
		x := ownAddress{prefix: netip.PrefixFrom(local, int(body[1]))}
		if other != local {
			x.peer = other
		}
		if x.prefix.IsValid() {
			out = append(out, x)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("list own addresses: %w", err)
	}
	return out, nil
}

// OnLink returns the prefixes of the host's links, each once; their addresses are
// neighbours. They are the prefixes of the host's own addresses and, for an address
// without one (DHCPv6 gives single addresses, RFC 8415, 21.6), the prefixes that a
// router announces as on-link (RFC 4861, 6.3.4): routes by the kernel or by a router
// advertisement. An operator's route leads behind a link, not onto it.
func OnLink() (out []netip.Prefix, err error) {
	own, err := ownAddresses()
	if err != nil {
		return nil, err
	}
	seen := make(map[netip.Prefix]bool)
	add := func(p netip.Prefix) {
		if p = p.Masked(); p.IsValid() && !seen[p] {
			seen[p] = true
			out = append(out, p)
		}
	}
	for _, x := range own {
		if x.peer.IsValid() { // the length is that of the peer's prefix
			add(netip.PrefixFrom(x.peer, x.prefix.Bits()))
			add(single(x.prefix.Addr()))
			continue
		}
		add(x.prefix)
	}
	for _, protocol := range []uint8{unix.RTPROT_KERNEL, unix.RTPROT_RA} {
		filter := routeFilter(unix.AF_INET6, unix.RT_TABLE_MAIN, protocol)
		err := dump(unix.RTM_GETROUTE, filter, func(kind uint16, body []byte) {
			if kind == unix.RTM_NEWROUTE && len(body) >= sizeRoute {
				add(linkRoute(body))
			}
		})
		if err != nil {
			return nil, fmt.Errorf("list routes: %w", err)
		}
	}
	return out, nil
}

// linkRoute returns the prefix of a route without a next hop; invalid for any
// other route and for a default route.
func linkRoute(body []byte) (p netip.Prefix) {
	for kind, value := range nlmsg.Attributes(body[sizeRoute:]) {
		switch kind {
		case unix.RTA_DST:
			a, _ := netip.AddrFromSlice(value)
			p = netip.PrefixFrom(a, int(body[1]))
		case unix.RTA_GATEWAY, unix.RTA_VIA, unix.RTA_MULTIPATH, routeNexthop:
			return netip.Prefix{}
		}
	}
	return p
}
