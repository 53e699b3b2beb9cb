// SPDX-License-Identifier: MIT

package nft

import "github.com/google/nftables"

// fenceChains let only known flows of fenced and held sources pass. They come after
// connection tracking, and it knows those flows.
func fenceChains(c Config) []chain {
	return []chain{
		filter(chain{
			name: "fence_input",
			why: "these are known: flows in conntrack, answered UDP peers, connections that the trap " +
				"leads here, and segments for live sockets. " +
				"(A listener is a live socket too: see bare.) Of the flows of IPVS connection tracking " +
				"may know nothing.",
			rules: list(
				one(established, accept),
				one(loopback, accept),
				free(c),
				known(),
				one(translated, in("trap_listener", tcpDport), accept),
				one(later, served, accept),
				one(ofFlow, in("elsewhere4", daddr4), accept),
				one(ofFlow, in("elsewhere6", daddr6), accept),
				one(goTo("fenced")),
			),
		}, nftables.ChainHookInput, -9, "input priority filter - 9"),
		filter(chain{
			name: "fence_forward",
			why: "nearly all packets leave by the first rule: each before it would cost throughput. " +
				"Packets to networks behind this host are judged first, if they begin a flow or belong " +
				"to none. A segment that connection tracking has forgotten passes: it can get no " +
				"more than a bare reset",
			rules: list(
				one(original, flowing, accept),
				one(turning, jump("turns")),
				one(isUDP, jump("fence_udp")),
				one(flowing, accept),
				one(translated, reply, jump("refused")),
				one(established, accept),
				one(isIPv6, fromHere, count("kept_forged"), drop), // IPv4 has dropped it
				one(in("behind4", saddr4), jump("outward")),
				one(in("behind6", saddr6), jump("outward")),
				one(in("behind4", daddr4), notIn("behind4", saddr4), jump("behind")),
				one(in("behind6", daddr6), notIn("behind6", saddr6), jump("behind")),
				one(in("published", proto), translated, jump("published")),
				free(c),
				known(),
				one(ofFlow, accept),
				one(goTo("fenced")),
			),
		}, nftables.ChainHookForward, -10, "forward priority filter - 10"),
		{
			name: "fence_udp",
			why:  "the answers tell of both peers of a flow",
			rules: list(
				one(lasting, large, mostly, accept),
				one(lasting, jump("peers")),
				one(lasting, jump("peers_asking")),
				one(reply, brief, jump("replied")),
			),
		},
		{
			name: "fenced",
			rules: list(
				one(jump("vital")),
				friends(),
				addresses("operators", accept),
				sources(c, "held", count("kept_held"), drop),
				sources(c, "fence", drop),
				sources(c, spareSet, drop),
			),
		},
		{
			name: "bare",
			why: "no bare reset leaves to a fenced source: it would show an ACK scan the ports that " +
				"are listened on",
			rules: list(
				away(c, "held", drop),
				away(c, "fence", drop),
				away(c, spareSet, drop),
			),
		},
	}
}

// free accepts nearly all packets: those of sources in none of the sets.
func free(c Config) []rule { return outside(c, "held", "fence", spareSet) }

// outside accepts packets of sources in none of the sets. Such a lookup does not count in an
// element's counter.
func outside(c Config, sets ...string) []rule {
	var four, six []part
	for _, set := range sets {
		four = append(four, notIn(set+"4", saddr4))
		six = append(six, notIn(set+"6", saddr6), notIn(set+"6", prefixOf(saddr6, c.prefix6())))
	}
	return list(one(append(four, accept)...), one(append(six, accept)...))
}

// known accepts UDP flows that this host has answered.
func known() []rule {
	return list(
		one(isUDP, in("peers4", saddr4, udpSport, udpDport), accept),
		one(isUDP, in("peers6", saddr6, udpSport, udpDport), accept),
		one(isUDP, in("answered4", saddr4, udpSport, udpDport), accept),
		one(isUDP, in("answered6", saddr6, udpSport, udpDport), accept),
	)
}

// away is sources for destinations: the rules that match by the address that a packet goes to.
func away(c Config, set string, then ...part) []rule {
	return list(
		one(append([]part{in(set+"4", daddr4)}, then...)...),
		one(append([]part{in(set+"6", daddr6)}, then...)...),
		one(append([]part{in(set+"6", prefixOf(daddr6, c.prefix6()))}, then...)...),
	)
}
