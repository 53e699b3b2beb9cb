// SPDX-License-Identifier: MIT

package host

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"picket/internal/nlmsg"
)

// A Network is a link that this host forwards to.
type Network struct {
	Prefix    netip.Prefix `json:"prefix"`
	Interface string       `json:"interface"`
	Container bool         `json:"container"` // a bridge of containers and virtual machines alone
}

// Networks returns the networks directly behind this host, in order: the prefixes of
// its links, of each family that it forwards. Links of a default route, the loopback
// and single addresses are left out. It reads the calling thread's network namespace.
func Networks() ([]Network, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	names, containers := map[int]string{}, map[int]bool{}
	for _, l := range links {
		if names[l.Attrs().Index] = l.Attrs().Name; l.Type() == "bridge" {
			containers[l.Attrs().Index] = true
		}
	}
	for _, l := range links {
		// A bridge with the machine's own card is a part of that card's network.
		if of := l.Attrs().MasterIndex; of != 0 && l.Type() != "veth" && l.Type() != "tuntap" {
			delete(containers, of)
		}
	}
	var out []Network
	for family, forwards := range map[uint8]bool{unix.AF_INET: enabled("ipv4/ip_forward"),
		unix.AF_INET6: enabled("ipv6/conf/all/forwarding")} {
		if !forwards {
			continue
		}
		outside, err := defaultLinks(family)
		if err != nil {
			return nil, err
		}
		list, err := netlink.AddrList(nil, int(family))
		if err != nil {
			return nil, fmt.Errorf("list own addresses: %w", err)
		}
		for _, x := range list {
			a, _ := netip.AddrFromSlice(x.IP)
			bits, _ := x.Mask.Size()
			p := netip.PrefixFrom(a.Unmap(), bits).Masked()
			if !p.IsValid() || p.IsSingleIP() || a.IsLoopback() || a.IsLinkLocalUnicast() ||
				outside[x.LinkIndex] ||
				names[x.LinkIndex] == ipvsBlank {
				continue
			}
			out = append(out, Network{p, names[x.LinkIndex], containers[x.LinkIndex]})
		}
	}
	slices.SortFunc(out, func(a, b Network) int {
		if c := a.Prefix.Addr().Compare(b.Prefix.Addr()); c != 0 {
			return c
		}
		return a.Prefix.Bits() - b.Prefix.Bits()
	})
	return slices.CompactFunc(out, func(a, b Network) bool { return a.Prefix == b.Prefix }), nil
}

// defaultLinks returns the links of a family's default routes, in any table. Two
// halves of everything count as one (OpenVPN, WireGuard), and so does 2000::/3, all
// the assigned addresses (RFC 4291, 2.4).
func defaultLinks(family uint8) (map[int]bool, error) {
	out, widest := map[int]bool{}, uint8(1)
	if family == unix.AF_INET6 {
		widest = 3
	}
	err := dump(unix.RTM_GETROUTE, routeFilter(family, 0, 0), func(kind uint16, body []byte) {
		if kind == unix.RTM_NEWROUTE && len(body) >= sizeRoute && body[1] <= widest {
			leavesBy(body[sizeRoute:], out)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	return out, nil
}

// leavesBy notes the links of a route, or of one of its paths.
func leavesBy(b []byte, out map[int]bool) {
	for kind, value := range nlmsg.Attributes(b) {
		switch {
		case kind == unix.RTA_OIF && len(value) == 4:
			out[int(binary.NativeEndian.Uint32(value))] = true
		case kind == unix.RTA_MULTIPATH:
			for len(value) >= sizeHop {
				length := int(binary.NativeEndian.Uint16(value))
				if length < sizeHop || length > len(value) {
					return
				}
				out[int(binary.NativeEndian.Uint32(value[4:]))] = true // rtnh_ifindex
				value = value[min(len(value), (length+3)&^3):]
			}
		}
	}
}

// enabled reports whether a setting of the kernel's is on.
func enabled(name string) bool {
	b, err := os.ReadFile("/proc/sys/net/" + name)
	return err == nil && strings.TrimSpace(string(b)) != "0"
}
