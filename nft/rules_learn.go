// SPDX-License-Identifier: MIT

package nft

import "github.com/google/nftables"

// learnChains remember with whom this host has to do. A set that is full ends the
// rule that adds to it, so that the next one counts that.
func learnChains(Config) []chain {
	return []chain{
		filter(chain{
			name: "leave",
			rules: list(
				one(bareReset, jump("bare")),
				one(opening, jump("asked")),
				one(isUDP, reply, brief, jump("answered")),
				one(isUDP, beginning, goTo("leave_udp")),
			),
		}, nftables.ChainHookOutput, 10, "output priority filter + 10"),
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
			name: "asked",
			why:  "whom this host asks, and at which port: what comes from there later is a late answer",
			rules: list(
				one(renew("asked4", daddr4, proto, thDport), backward),
				one(renew("asked6", daddr6, proto, thDport), backward),
				one(count("full_asked")),
			),
		},
		{
			name: "answered",
			why:  "to whom a service answered",
			rules: list(
				one(add("answered4", daddr4, udpDport, udpSport), backward),
				one(add("answered6", daddr6, udpDport, udpSport), backward),
				one(count("full_answered")),
			),
		},
		{
			name: "peers",
			why: "with whom a UDP flow lasts: conntrack forgets it after two minutes of silence, " +
				"and WireGuard may say nothing for hours",
			rules: list(
				one(renew("peers4", saddr4, udpSport, udpDport), backward),
				one(renew("peers6", saddr6, udpSport, udpDport), backward),
				one(count("full_peers")),
			),
		},
		{
			name: "connected",
			why: "who completed a handshake with this host: before it blocks one of them for what " +
				"could be forged, picket asks the sockets",
			rules: list(
				one(add("connected4", saddr4), backward),
				one(add("connected6", link6), backward),
				one(count("full_connected")),
			),
		},
	}
}
