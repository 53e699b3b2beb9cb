// SPDX-License-Identifier: MIT

package nft

import "github.com/google/nftables"

// learnChains remember this host's peers. A full set ends the rule that adds to it,
// and the next rule counts that.
func learnChains(Config) []chain {
	return []chain{
		filter(chain{
			name: "leave",
			rules: list(
				one(turning, jump("leave_turning")),
				one(isUDP, reply, brief, jump("answered")),
				one(isUDP, beginning, goTo("leave_udp")),
			),
		}, nftables.ChainHookOutput, 10, "output priority filter + 10"),
		{
			name: "leave_turning",
			rules: list(
				one(bareReset, jump("bare")),
				one(opening, jump("asked")),
				one(synAck, in("trap_listener", tcpSport), count("trapped")),
			),
		},
		{
			name: "leave_udp",
			why: "kept out of connection tracking, an answer is told from a question by the port: " +
				"a service's",
			rules: list(
				one(in("lately", proto, thSport), goTo("answered")),
				one(goTo("asked")),
			),
		},
		{
			name:  "asked",
			why:   "the address and port that this host asks: a packet from there later is a late answer",
			rules: learn(renew, "asked", daddr4, daddr6, proto, thDport),
		},
		{
			name:  "answered",
			why:   "peers that a service answered",
			rules: learn(add, "answered", daddr4, daddr6, udpDport, udpSport),
		},
		{
			name: "peers",
			why: "peers of a lasting UDP flow: conntrack forgets it after two minutes of silence, " +
				"and WireGuard may say nothing for hours. Each small packet renews them, which may be " +
				"the only one, and one large packet in sixteen, since that costs more than the hook itself",
			rules: learn(renew, "peers", saddr4, saddr6, udpSport, udpDport),
		},
		{
			name:  "peers_asking",
			rules: learn(renew, "peers", daddr4, daddr6, udpDport, udpSport),
		},
		{
			name: "connected",
			why: "peers that completed a handshake with this host: before picket blocks one of them on " +
				"evidence that could be forged, it asks the sockets",
			rules: learn(add, "connected", saddr4, link6),
		},
	}
}

// learn fills the set of either family, and counts what finds it full.
func learn(put func(set string, fields ...field) part, set string, of4, of6 field, rest ...field) []rule {
	return list(
		one(put(set+"4", append([]field{of4}, rest...)...), backward),
		one(put(set+"6", append([]field{of6}, rest...)...), backward),
		one(count("full_"+set)),
	)
}
