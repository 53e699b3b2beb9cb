// SPDX-License-Identifier: MIT

package host

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// IPVS's list of services, and kube-proxy's interface for their addresses.
const (
	ipvsFile  = "/proc/net/ip_vs"
	ipvsBlank = "kube-ipvs0"
)

// Elsewhere returns the addresses of this host that others serve: those of IPVS. This
// host has no socket of such a service. It reads the calling thread's network
// namespace.
func Elsewhere() (out []netip.Prefix) {
	if b, err := os.ReadFile(ipvsFile); err == nil {
		out = ipvs(b)
	}
	link, err := netlink.LinkByName(ipvsBlank)
	if err != nil {
		return out // as on nearly every host
	}
	list, err := netlink.AddrList(link, unix.AF_UNSPEC)
	if err != nil {
		return out
	}
	for _, a := range list {
		if x, ok := netip.AddrFromSlice(a.IP); ok && !x.Unmap().IsLinkLocalUnicast() {
			out = append(out, single(x.Unmap()))
		}
	}
	return distinct(out)
}

func distinct(list []netip.Prefix) []netip.Prefix {
	slices.SortFunc(list, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
	return slices.Compact(list)
}

// ipvs reads the services of the list: "TCP  C0000202:0050 rr",
// "UDP  [2001:0db8:0000:0000:0000:0000:0000:0002]:0035 rr" (ip_vs_info_seq_show in
// net/netfilter/ipvs/ip_vs_ctl.c).
func ipvs(b []byte) (out []netip.Prefix) {
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) < 2 || f[0] != "TCP" && f[0] != "UDP" && f[0] != "SCTP" {
			continue
		}
		address := f[1][:max(0, strings.LastIndexByte(f[1], ':'))]
		if a, err := netip.ParseAddr(strings.Trim(address, "[]")); err == nil {
			out = append(out, single(a))
		} else if raw, err := hex.DecodeString(address); err == nil && len(raw) == 4 {
			out = append(out, single(netip.AddrFrom4([4]byte(raw))))
		}
	}
	return distinct(out)
}
