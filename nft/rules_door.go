// SPDX-License-Identifier: MIT

package nft

// doorChains refuse, on ports that are served, SYNs that no client's stack sends.
func doorChains(Config) []chain {
	return []chain{
		{
			name: "served",
			why: "what a socket takes is no probe. The door's ports are those that a crude packet " +
				"does not open",
			rules: list(
				one(in("door_tcp", tcpDport), opening, goTo("door")),
				one(accept),
			),
		},
		{
			name:  "door",
			rules: list(crude(goTo("closed_door")), one(accept)),
		},
		{
			name:  "closed_door",
			rules: list(one(count("kept_door"), drop)),
		},
	}
}

// crude are SYNs that no client's stack sends.
//
// Every stack announces its segment size (RFC 9293, 3.7.1: SHOULD, and all do);
// scanners that write their packets themselves leave it out (masscan, zmap before
// 4.1, hping3, Mirai), or send it alone with a window of 1024 (nmap's tcpip.cc,
// masscan since 2023).
func crude(then part) []rule {
	return list(
		one(withoutOption("maxseg", 2), then),
		one(equals(tcpWindow, "1024", be16(1024)), withoutOption("sack-perm", 4), then),
	)
}
