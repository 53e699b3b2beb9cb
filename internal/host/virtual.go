// SPDX-License-Identifier: MIT

package host

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// IPVS's list of services, and kube-proxy's interface for their addresses.
const (
	ipvsFile  = "/proc/net/ip_vs"
	ipvsBlank = "kube-ipvs0"
)

// A Virtual has the services of others at addresses of this host, without sockets here.
// The zero Virtual is that of nearly every host.
type Virtual struct {
	Addresses []netip.Prefix             // those of IPVS and of kube-ipvs0, one by one
	Ports     map[uint8][]netip.AddrPort // the services of IPVS by protocol
	Known     []netip.Prefix             // addresses with services, all of which Ports has
}

// Virtuals returns what others serve at addresses of this host. It reads the calling
// thread's network namespace. Services of IPVS by firewall mark are not found: they
// have no address.
func Virtuals() (v Virtual) {
	if b, err := os.ReadFile(ipvsFile); err == nil {
		v = ipvs(b)
	}
	link, err := netlink.LinkByName(ipvsBlank)
	if err != nil {
		return v
	}
	list, err := netlink.AddrList(link, unix.AF_UNSPEC)
	if err != nil {
		return v
	}
	for _, a := range list {
		if x, ok := netip.AddrFromSlice(a.IP); ok && !x.Unmap().IsLinkLocalUnicast() {
			v.Addresses = append(v.Addresses, single(x.Unmap()))
		}
	}
	v.Addresses = distinct(v.Addresses)
	return v
}

func distinct(list []netip.Prefix) []netip.Prefix {
	slices.SortFunc(list, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
	return slices.Compact(list)
}

// ipvs reads the services of the list: "TCP  C0000202:0050 rr",
// "UDP  [2001:0db8:0000:0000:0000:0000:0000:0002]:0035 rr" (ip_vs_info_seq_show in
// net/netfilter/ipvs/ip_vs_ctl.c).
func ipvs(b []byte) (v Virtual) {
	protocols := map[string]uint8{"TCP": unix.IPPROTO_TCP, "UDP": unix.IPPROTO_UDP, "SCTP": unix.IPPROTO_SCTP}
	open := map[netip.Prefix]bool{}
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) < 2 || protocols[f[0]] == 0 {
			continue
		}
		at, ok := virtualPort(f[1])
		if !ok {
			continue
		}
		if v.Ports == nil {
			v.Ports = map[uint8][]netip.AddrPort{}
		}
		p := single(at.Addr())
		v.Ports[protocols[f[0]]] = append(v.Ports[protocols[f[0]]], at)
		v.Addresses = append(v.Addresses, p)
		// Port 0 stands for all ports, and 21 for those of FTP's data too
		// (ip_vs_service_find, there).
		if at.Port() == 0 || at.Port() == 21 {
			open[p] = true
		}
	}
	v.Addresses = distinct(v.Addresses)
	for _, p := range v.Addresses {
		if !open[p] {
			v.Known = append(v.Known, p)
		}
	}
	return v
}

func virtualPort(s string) (at netip.AddrPort, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return at, false
	}
	port, err := strconv.ParseUint(s[i+1:], 16, 16)
	if err != nil {
		return at, false
	}
	a, err := netip.ParseAddr(strings.Trim(s[:i], "[]"))
	if err != nil {
		raw, err := hex.DecodeString(s[:i])
		if err != nil || len(raw) != 4 {
			return at, false
		}
		a = netip.AddrFrom4([4]byte(raw))
	}
	return netip.AddrPortFrom(a, uint16(port)), true
}
