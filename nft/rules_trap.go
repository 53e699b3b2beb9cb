// SPDX-License-Identifier: MIT

package nft

import "github.com/google/nftables"

// trapChains lead new connections to classic ports to the trap's listener.
func trapChains(c Config) []chain {
	return []chain{
		{
			name: "lure",
			why: "the port is still the one that was dialled. A real service keeps its port, and what is " +
				"forwarded is not for this host to take. A source that passed its trigger goes on being led, " +
				"so that it can prove itself: to ten ports more, and with packets that may complete a connection",
			rules: list(
				one(loopback, accept),
				friends(),
				one(notLocal, accept),
				one(served, accept),
				one(jump("sight")),
				sources(c, "quiet", jump("crude")),
				one(count("lured")),
				one(isTCP, redirect),
			),
		},
		{
			name: "crude",
			why: "packets that no client sends are not redirected: they would only learn that the port " +
				"answers. Neither is whoever holds connections open to find out all ports",
			rules: list(
				crude(accept),
				each(c, func(s source) []part { return []part{beyond(maxLed, "led"+s.family, s.of), accept} }),
				each(c, func(s source) []part { return []part{notIn("led"+s.family, s.of), count("full_led"), accept} }),
			),
		},
		base(chain{
			name: "trap",
			why: "new connections to classic ports go to the trap listener. After everybody's " +
				"dstnat: a published port is not a trap",
			rules: list(one(in("classic_tcp", tcpDport), opening, goTo("lure"))),
		}, nftables.ChainTypeNAT, nftables.ChainHookPrerouting, -90, "prerouting priority dstnat + 10"),
		{
			name: "undialled",
			why: "the trap listener's own port is no service: who dials it directly finds it as " +
				"any port that nobody serves",
			rules: list(
				one(jump("sight")),
				sources(c, "quiet", drop),
				one(reset),
			),
		},
	}
}

// crude are SYNs that complete no connection.
//
// Every stack announces its segment size (RFC 9293, 3.7.1: SHOULD, and nearly all
// do); scanners that write their packets themselves leave it out (masscan, zmap before
// 4.1, hping3, Mirai), or send it alone with a window of 1024 (nmap's tcpip.cc,
// masscan since 2023). It is said of a source that has passed its trigger; what is
// refused of anybody is the door's.
func crude(then part) []rule {
	return list(
		one(withoutOption("maxseg", 2), then),
		one(equals(tcpWindow, "1024", be16(1024)), withoutOption("sack-perm", 4), then),
	)
}
