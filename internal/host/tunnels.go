// SPDX-License-Identifier: MIT

package host

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"picket/internal/nlmsg"
)

const (
	sizeLink      = 16 // struct ifinfomsg (include/uapi/linux/rtnetlink.h)
	sizeNeighbour = 12 // struct ndmsg (include/uapi/linux/neighbour.h)
)

// remotes are the attributes with the other end of a tunnel, by the kind of its link
// (include/uapi/linux/if_link.h, if_tunnel.h): IFLA_VXLAN_GROUP and _GROUP6,
// IFLA_GENEVE_REMOTE and _REMOTE6, IFLA_GRE_REMOTE, IFLA_IPTUN_REMOTE, IFLA_VTI_REMOTE.
var remotes = map[string][]uint16{
	"vxlan": {2, 16}, "geneve": {2, 7},
	"gre": {7}, "gretap": {7}, "erspan": {7}, "ip6gre": {7}, "ip6gretap": {7}, "ip6erspan": {7},
	"ipip": {3}, "sit": {3}, "ip6tnl": {3}, "vti": {5}, "vti6": {5},
}

// readLink adds the other end of a tunnel. Each flow inside a VXLAN tunnel has its own
// outer source port (RFC 7348, 5), so the end would look like a stranger with each.
func (h hops) readLink(body []byte) (news bool) {
	for kind, info := range nlmsg.Attributes(body[sizeLink:]) {
		if kind != unix.IFLA_LINKINFO {
			continue
		}
		var name string
		for kind, value := range nlmsg.Attributes(info) {
			switch kind {
			case unix.IFLA_INFO_KIND:
				name = unix.ByteSliceToString(value)
			case unix.IFLA_INFO_DATA: // behind the kind: rtnl_link_fill, net/core/rtnetlink.c
				news = h.readTunnel(remotes[name], value) || news
			}
		}
	}
	return news
}

func (h hops) readTunnel(ends []uint16, data []byte) (news bool) {
	for kind, value := range nlmsg.Attributes(data) {
		for _, end := range ends {
			if kind == end {
				news = h.add(address(value)) || news
			}
		}
	}
	return news
}

// otherEnd returns the address that a bridge's forwarding entry leads to, through a
// VXLAN tunnel with many ends (flannel, EVPN).
func otherEnd(body []byte) (to netip.Addr) {
	if len(body) < sizeNeighbour || body[0] != unix.AF_BRIDGE {
		return to
	}
	for kind, value := range nlmsg.Attributes(body[sizeNeighbour:]) {
		if kind == unix.NDA_DST {
			to = address(value)
		}
	}
	return to
}
