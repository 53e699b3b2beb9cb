// SPDX-License-Identifier: MIT

package nft

import (
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// darkChains leave packets to unserved ports unanswered: always if the source is dark
// or has passed its trigger, else once enough closed ports have been told.
func darkChains(c Config) []chain {
	return []chain{
		filter(chain{
			name: "dark",
			why: "behind the user's own chains, so that a knock on a port is heard by who waits " +
				"for it. TCP and UDP alone: of no other protocol is it known what is served",
			rules: list(
				one(loopback, accept),
				one(translated, in("trap_listener", tcpDport), accept),
				one(established, accept),
				one(isTCP, goTo("dark_tcp")),
				one(isUDP, goTo("dark_udp")),
			),
		}, nftables.ChainHookInput, 250, "input priority 250"),
		{
			name: "dark_tcp",
			rules: list(
				one(in("lately", proto, thDport), accept),
				one(served, accept),
				one(jump("unserved")),
				one(in("excluded_tcp", tcpDport), accept),
				one(jump("shunned")),
				// A segment with an ACK gets a reset from any port, and so reveals none. A
				// peer with a connection from before this host started waits for that reset.
				one(flags("ack", expr.CmpOpEq, "ack"), accept),
				one(in("guarded_tcp", tcpDport), goTo("silent")),
			),
		},
		{
			name: "dark_udp",
			rules: list(
				one(in("lately", proto, thDport), accept),
				one(served, accept),
				one(jump("unserved")),
				one(in("excluded_udp", udpDport), accept),
				one(jump("shunned")),
				one(notIn("guarded_udp", udpDport), accept),
				one(in("asked4", saddr4, proto, thSport), count("kept_late"), drop),
				one(in("asked6", saddr6, proto, thSport), count("kept_late"), drop),
				one(goTo("silent")),
			),
		},
		{
			name: "unserved",
			why: "packets that pass: to more hosts than this one, to a published port, of a friend, to " +
				"an address that others serve",
			rules: list(
				one(notLocal, jump("widely")),
				one(translated, accept),
				friends(),
				addresses("known", accept),
				one(in("elsewhere4", daddr4), accept),
				one(in("elsewhere6", daddr6), accept),
			),
		},
		{
			name: "shunned",
			rules: list(
				sources(c, "quiet", count("kept_quiet"), drop),
				one(in("quiet_links6", link6), count("kept_quiet"), drop),
				sources(c, "dark", drop),
				addresses("dark_nets", drop),
			),
		},
		{
			name: "silent",
			why:  "sources that could not be counted, and ports beyond those told",
			rules: list(
				each(c, func(s source) []part {
					unseen := notIn("sight"+s.family, s.of, proto, thDport)
					return []part{unseen, count("kept_uncounted"), drop}
				}),
				one(notIn("told", proto, thDport), count("full_told"), drop),
			),
		},
	}
}
