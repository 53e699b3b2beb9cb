// SPDX-License-Identifier: MIT

package lab

import (
	"fmt"
	"net/netip"
	"strings"
)

// A Published is a port of a container behind Docker's bridge docker0.
type Published struct {
	Port uint16         // of the host
	To   netip.AddrPort // of the container
}

// DockerIPTables returns what docker.io 20.10 of Debian has iptables do (moby,
// libnetwork/iptables and libnetwork/drivers/bridge), for iptables-restore or, if network
// is of IPv6, for ip6tables-restore.
func DockerIPTables(network netip.Prefix, ports ...Published) string {
	local := "127.0.0.0/8"
	if network.Addr().Is6() {
		local = "::1/128"
	}
	var masquerade, dnat, accept strings.Builder
	for _, p := range ports {
		a, port := p.To.Addr(), p.To.Port()
		fmt.Fprintf(&masquerade,
			"-A POSTROUTING -s %[1]s -d %[1]s -p tcp -m tcp --dport %[2]d -j MASQUERADE\n",
			a, port)
		fmt.Fprintf(&dnat, "-A DOCKER ! -i docker0 -p tcp -m tcp --dport %d -j DNAT --to-destination %v\n",
			p.Port, p.To)
		fmt.Fprintf(&accept, "-A DOCKER -d %s ! -i docker0 -o docker0 -p tcp -m tcp --dport %d -j ACCEPT\n",
			a, port)
	}
	return `*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d ` + local + ` -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s ` + network.String() + ` ! -o docker0 -j MASQUERADE
` + masquerade.String() + `-A DOCKER -i docker0 -j RETURN
` + dnat.String() + `COMMIT
*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
` + accept.String() + `-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
`
}

// DockerNFTables returns the table of Docker 29's nftables backend for a family, rule by rule
// as moby has it (integration/network/bridge/nftablesdoc/generated/usernet-portmap.md; for IPv6
// the golden files of libnetwork/drivers/bridge/internal/nftabler).
func DockerNFTables(network netip.Prefix, ports ...Published) string {
	family, local, client := "ip", "127.0.0.0/8", ""
	if network.Addr().Is6() {
		family, local, client = "ip6", "::1", "ip6 saddr != fe80::/10 "
	}
	var dnat, direct, accept strings.Builder
	seen := map[netip.Addr]bool{}
	for _, p := range ports {
		a := p.To.Addr()
		fmt.Fprintf(&dnat, "\t\tiifname != \"docker0\" %stcp dport %d counter dnat to %v comment \"DNAT\"\n",
			client, p.Port, p.To)
		fmt.Fprintf(&accept, "\t\t%s daddr %s tcp dport %d counter accept\n", family, a, p.To.Port())
		if !seen[a] {
			seen[a] = true
			fmt.Fprintf(&direct,
				"\t\t%s daddr %s iifname != \"docker0\" counter drop "+
					"comment \"DROP DIRECT ACCESS\"\n", family, a)
		}
	}
	return `table ` + family + ` docker-bridges {
	map filter-forward-in-jumps {
		type ifname : verdict
		elements = { "docker0" : jump filter-forward-in__docker0 }
	}
	map filter-forward-out-jumps {
		type ifname : verdict
		elements = { "docker0" : jump filter-forward-out__docker0 }
	}
	map nat-postrouting-in-jumps {
		type ifname : verdict
		elements = { "docker0" : jump nat-postrouting-in__docker0 }
	}
	map nat-postrouting-out-jumps {
		type ifname : verdict
		elements = { "docker0" : jump nat-postrouting-out__docker0 }
	}
	chain filter-FORWARD {
		type filter hook forward priority filter; policy accept;
		oifname vmap @filter-forward-in-jumps
		iifname vmap @filter-forward-out-jumps
	}
	chain nat-OUTPUT {
		type nat hook output priority -100; policy accept;
		` + family + ` daddr != ` + local + ` fib daddr type local counter jump nat-prerouting-and-output
	}
	chain nat-POSTROUTING {
		type nat hook postrouting priority srcnat; policy accept;
		iifname vmap @nat-postrouting-out-jumps
		oifname vmap @nat-postrouting-in-jumps
	}
	chain nat-PREROUTING {
		type nat hook prerouting priority dstnat; policy accept;
		fib daddr type local counter jump nat-prerouting-and-output
	}
	chain nat-prerouting-and-output {
` + dnat.String() + `	}
	chain raw-PREROUTING {
		type filter hook prerouting priority raw; policy accept;
` + direct.String() + `	}
	chain filter-forward-in__docker0 {
		ct state established,related counter accept
		iifname "docker0" counter accept comment "ICC"
` + accept.String() + `		counter drop comment "UNPUBLISHED PORT DROP"
	}
	chain filter-forward-out__docker0 {
		ct state established,related counter accept
		counter accept comment "OUTGOING"
	}
	chain nat-postrouting-in__docker0 {
	}
	chain nat-postrouting-out__docker0 {
		oifname != "docker0" ` + family + ` saddr ` + network.String() +
		` counter masquerade comment "MASQUERADE"
	}
}
`
}
