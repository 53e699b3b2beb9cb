// SPDX-License-Identifier: MIT

// Package host finds what must never be blocked because the host itself
// depends on it: its own addresses, its gateways and its resolvers.
//
// It reads the network namespace it runs in over rtnetlink, and resolv.conf;
// it changes nothing and needs no privilege.
package host

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A Friend is a prefix that must not be blocked, and why in words.
type Friend struct {
	Prefix netip.Prefix `json:"prefix"`
	Why    string       `json:"why"`
}

// Wanted says what to look for.
type Wanted struct{ Own, Gateways, Resolvers bool }

// resolvConfs are the files that name resolvers. Where the first names
// systemd-resolved's stub, the second has who it asks (systemd-resolved.service(8)).
var resolvConfs = [...]string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"}

// Friends returns what is found now. Loopback is always part of it.
func Friends(w Wanted) ([]Friend, error) {
	out := []Friend{
		{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
		{netip.MustParsePrefix("::1/128"), "loopback"},
	}
	if w.Own {
		own, err := addresses()
		if err != nil {
			return nil, err
		}
		out = append(out, own...)
	}
	if w.Gateways {
		gw, err := gateways()
		if err != nil {
			return nil, err
		}
		out = append(out, gw...)
	}
	if w.Resolvers {
		for _, file := range resolvConfs {
			// A host without the file has no resolver there.
			if b, err := os.ReadFile(file); err == nil {
				out = append(out, resolvers(b)...)
			}
		}
	}
	return out, nil
}

func single(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	return netip.PrefixFrom(a, a.BitLen())
}

func addresses() (out []Friend, err error) {
	list, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list own addresses: %w", err)
	}
	for _, x := range list {
		if a, ok := netip.AddrFromSlice(x.IP); ok {
			out = append(out, Friend{single(a), "own address"})
		}
	}
	return out, nil
}

// gateways returns the next hops of every default route, in every table.
func gateways() (out []Friend, err error) {
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, err := netlink.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
		if err != nil {
			return nil, fmt.Errorf("list routes: %w", err)
		}
		for _, r := range routes {
			if !isDefault(r.Dst) {
				continue
			}
			hops := []net.IP{r.Gw}
			for _, h := range r.MultiPath {
				hops = append(hops, h.Gw)
			}
			if v, ok := r.Via.(*netlink.Via); ok {
				hops = append(hops, v.Addr)
			}
			for _, h := range hops {
				if a, ok := netip.AddrFromSlice(h); ok {
					out = append(out, Friend{single(a), "gateway"})
				}
			}
		}
	}
	return out, nil
}

func isDefault(dst *net.IPNet) bool {
	if dst == nil {
		return true
	}
	ones, _ := dst.Mask.Size()
	return ones == 0
}

// resolvers reads the nameserver lines of a resolv.conf (resolv.conf(5)).
func resolvers(conf []byte) (out []Friend) {
	for s := bufio.NewScanner(bytes.NewReader(conf)); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) < 2 || f[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(f[1]); err == nil {
			out = append(out, Friend{single(a), "resolver"})
		}
	}
	return out
}

// EphemeralPort returns the first port that the host uses for connections of
// its own (net.ipv4.ip_local_port_range, which holds for IPv6 too).
func EphemeralPort() uint16 {
	var first uint16
	if b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		// Where it does not parse, 0 stands for the engine's default.
		_, _ = fmt.Sscan(string(b), &first)
	}
	return first
}
