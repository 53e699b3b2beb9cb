// SPDX-License-Identifier: MIT

package host

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"picket/internal/nlmsg"
)

// hops is a set of next hops: the addresses that the host hands packets to.
type hops map[netip.Addr]struct{}

// mostHops bounds the set. The largest exchange has some 1,100 members.
const mostHops = 4096

// add reports whether a is new, and in the set now.
func (h hops) add(a netip.Addr) bool {
	if _, known := h[a]; known || !a.IsValid() || len(h) >= mostHops {
		return false
	}
	h[a] = struct{}{}
	return true
}

// nextHops asks the kernel for the next hops of every unicast route of every table,
// of every nexthop object (ip-nexthop(8)), since a route by an object has only its
// number, and for the other ends of tunnels. The kernel leaves out local and discarding
// routes.
func nextHops() (hops, error) {
	h := make(hops)
	each := func(kind uint16, body []byte) { h.read(kind, body) }
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		if err := dump(unix.RTM_GETROUTE, routeFilter(family, 0, 0), each); err != nil {
			return nil, fmt.Errorf("list routes: %w", err)
		}
	}
	// A kernel before 5.3 has no nexthop objects and gives no answer, and one without
	// bridges no forwarding entries.
	_ = dump(unix.RTM_GETNEXTHOP, make([]byte, sizeNexthop), each)
	_ = dump(unix.RTM_GETNEIGH, append([]byte{unix.AF_BRIDGE}, make([]byte, sizeNeighbour-1)...), each)
	if err := dump(unix.RTM_GETLINK, make([]byte, sizeLink), each); err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	return h, nil
}

const (
	sizeRoute   = 12 // struct rtmsg (include/uapi/linux/rtnetlink.h)
	sizeNexthop = 8  // struct nhmsg (include/uapi/linux/nexthop.h)
	sizeHop     = 8  // struct rtnexthop

	routeNexthop   = 30 // RTA_NH_ID
	nexthopGateway = 6  // NHA_GATEWAY
	nexthopFDB     = 11 // NHA_FDB: of a bridge, no next hop
)

// routeFilter returns a request for the unicast routes of a family, of one table and
// one protocol if these are not 0.
func routeFilter(family, table, protocol uint8) []byte {
	b := make([]byte, sizeRoute)
	b[0], b[4], b[5], b[7] = family, table, protocol, unix.RTN_UNICAST
	return b
}

// read adds the next hops of a message, and reports whether one is new.
func (h hops) read(kind uint16, body []byte) (news bool) {
	switch {
	case kind == unix.RTM_NEWROUTE && len(body) >= sizeRoute && body[7] == unix.RTN_UNICAST:
		return h.readRoute(body[sizeRoute:])
	case kind == unix.RTM_NEWNEXTHOP && len(body) >= sizeNexthop:
		var via netip.Addr
		for kind, value := range nlmsg.Attributes(body[sizeNexthop:]) {
			switch kind {
			case nexthopGateway:
				via = address(value)
			case nexthopFDB:
				return false
			}
		}
		return h.add(via)
	case kind == unix.RTM_NEWLINK && len(body) >= sizeLink:
		return h.readLink(body)
	case kind == unix.RTM_NEWNEIGH:
		return h.add(otherEnd(body))
	}
	return false
}

// readRoute adds the next hops in the attributes of a route or of one of its
// paths.
func (h hops) readRoute(b []byte) (news bool) {
	for kind, value := range nlmsg.Attributes(b) {
		switch {
		case kind == unix.RTA_GATEWAY:
			news = h.add(address(value)) || news
		case kind == unix.RTA_VIA && len(value) > 2: // struct rtvia: of another family
			news = h.add(address(value[2:])) || news
		case kind == unix.RTA_MULTIPATH:
			for len(value) >= sizeHop {
				length := int(binary.NativeEndian.Uint16(value))
				if length < sizeHop || length > len(value) {
					break
				}
				news = h.readRoute(value[sizeHop:length]) || news
				value = value[min(len(value), (length+3)&^3):]
			}
		}
	}
	return news
}
