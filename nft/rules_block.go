// SPDX-License-Identifier: MIT

package nft

import (
	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// blockChains drop the packets of blocked sources before connection tracking, and SYNs
// of fenced ones that come too fast to be looked at.
func blockChains(c Config) []chain {
	return []chain{
		{
			name: "vital",
			why: "what a link and a path need passes, whoever sends it (RFC 4890, 4.3.1 and " +
				"4.4.1): neighbour discovery, multicast listeners, too-big packets",
			rules: list(
				one(icmpTypes("packet-too-big, mld-listener-query, mld-listener-report, mld-listener-done, "+
					"nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, "+
					"ind-neighbor-solicit, ind-neighbor-advert, mld2-listener-report, "+
					"148, 149, 151, 152, 153",
					unix.IPPROTO_ICMPV6,
					2, 130, 131, 132, 133, 134, 135, 136, 141, 142, 143, 148, 149, 151, 152, 153), accept),
				one(tooBig, accept),
				one(l4("igmp", unix.IPPROTO_IGMP), accept),
			),
		},
		{
			name: "refuse",
			why: "what happens to blocked sources. An ignored address inside a blocked network " +
				"gets in; who is logged in may log in again",
			rules: list(
				one(jump("vital")),
				friends(),
				addresses("operators", in("login_ports", tcpDport), accept),
				one(drop),
			),
		},
		filter(chain{
			name: "early",
			why: "before connection tracking: flows in progress and ports published to containers " +
				"end here too. Every packet comes by, and is asked nothing of the other family",
			rules: list(one(isIPv6, goTo("early6")), early("4", saddr4)),
		}, nftables.ChainHookPrerouting, -310, "prerouting priority raw - 10"),
		{name: "early6", rules: early("6", saddr6)},
		{
			name: "begins",
			why: "a SYN is of no flow that lives. Of fenced and held sources some are let go on, to be " +
				"mirrored; connection tracking and the trap would cost the rest of a scan five " +
				"times as much as this",
			rules: list(
				free(c),
				// A friend is in no set but for an IPv6 prefix around it.
				one(in("ignored6", saddr6), accept),
				one(in("operators6", saddr6), accept),
				one(in("classic_tcp", tcpDport), accept),
				each(c, func(s source) []part {
					return []part{in("invited_ports"+s.family, s.of, tcpDport), accept}
				}),
				measured(c, "begun", nil, fasterThan(20, 40), []part{goTo("enough")}, nil),
			),
		},
		{
			name: "enough",
			rules: list(
				sources(c, "held", count("kept_held"), drop),
				sources(c, "fence", drop),
				sources(c, spareSet, drop),
			),
		},
	}
}

func early(family string, of field) []rule {
	return list(
		one(in("blocked"+family, of), goTo("refuse")),
		one(in("blocked_nets"+family, of), goTo("refuse")),
		one(in("areas"+family, prefixOf(of, area[family])), jump("listed"+family)),
		one(opening, goTo("begins")),
	)
}
