// SPDX-License-Identifier: MIT

package nft

import "github.com/google/nftables"

// Limits of invitation: the ports that one source is led to within [InviteTime] by SYNs
// that complete no connection, and as many by others; the times for each port, and the
// times in a second for all sources together (after a burst of invitesAtOnce). SYNs in the
// name of another host have it answered no more often; the trap answers a SYN twice at most.
const (
	InvitePorts   = MaxTrigger + 1 // a source that connects to all is proven
	InviteEach    = 6
	InviteRate    = 100
	invitesAtOnce = 500
)

// trapChains lead new connections to the trap's listener: those to classic ports,
// and those of suspicious sources to any port that nobody serves.
func trapChains(c Config) []chain {
	return []chain{
		{
			name: "lure",
			why: "the port is still the one that was dialled. A real service keeps its port, even while it " +
				"is down, and this host takes no forwarded packet. A source that passed its trigger can " +
				"still prove itself: it is led to ten ports more, by packets that may complete a connection",
			rules: list(
				one(loopback, accept),
				friends(),
				one(notLocal, accept),
				one(served, accept),
				one(in("lately", proto, thDport), accept),
				one(in("elsewhere4", daddr4), accept),
				one(in("elsewhere6", daddr6), accept),
				one(jump("sight")),
				sources(c, "quiet", jump("crude")),
				one(goTo("lead")),
			),
		},
		{
			name:  "lead",
			rules: list(one(count("lured")), one(isTCP, redirect)),
		},
		{
			name: "crude",
			why: "packets that no client sends are not redirected: they would only learn that the port " +
				"answers. Neither is a source that holds connections open to find out all ports",
			rules: list(
				crude(accept),
				measured(c, "led", nil, moreThan(maxLed), []part{accept}, []part{accept}),
			),
		},
		base(chain{
			name: "trap",
			why: "new connections to classic ports go to the trap listener. After everybody's " +
				"dstnat: a published port is not a trap",
			rules: list(
				one(in("classic_tcp", tcpDport), opening, goTo("lure")),
				one(in("inviting", proto), opening, goTo("invite")),
			),
		}, nftables.ChainTypeNAT, nftables.ChainHookPrerouting, -90, "prerouting priority dstnat + 10"),
		{
			name: "invite",
			why: "a dark or fenced source asks for a watched port that nobody serves, nor did lately. A " +
				"packet that is not led goes on and is dropped behind the user's chains",
			rules: list(
				one(loopback, accept),
				outside(c, "dark", "fence"),
				friends(),
				one(notLocal, accept),
				one(served, accept),
				one(in("lately", proto, thDport), accept),
				one(in("trap_listener", tcpDport), accept),
				one(in("elsewhere4", daddr4), accept),
				one(in("elsewhere6", daddr6), accept),
				one(in("stealth_tcp", tcpDport), goTo("invite_port")),
				one(in("excluded_tcp", tcpDport), accept),
				one(in("advanced_tcp", tcpDport), goTo("invite_port")),
			),
		},
		{
			name: "invite_port",
			why: "what completes no connection takes no place of what does: a source that was fenced for a " +
				"half-open scan is still met where it connects next",
			rules: list(
				crude(goTo("invite_crude")),
				places(c, "invited"),
				one(goTo("invite_again")),
			),
		},
		{
			name:  "invite_crude",
			rules: list(places(c, "invited_crude"), one(goTo("invite_again"))),
		},
		{
			name: "invite_again",
			why: "a port once led stays led: a scan that comes again gets the same answer, and a source " +
				"that begins with a raw SYN is met when it connects",
			rules: list(
				each(c, func(s source) []part {
					few := atMost(InviteEach, "invited_ports"+s.family, s.of, tcpDport)
					return []part{few, goTo("invited")}
				}),
				each(c, func(s source) []part {
					return []part{
						notIn("invited_ports"+s.family, s.of, tcpDport), count("full_invited_ports"), accept,
					}
				}),
				one(count("uninvited")),
			),
		},
		{
			name: "invited",
			rules: list(
				one(limit(InviteRate, invitesAtOnce), goTo("welcome")),
				one(count("uninvited")),
			),
		},
		{
			name: "welcome",
			why:  "it is mirrored here, where its port is still the one that was dialled",
			rules: list(
				one(jump("sight")),
				one(count("invited")),
				one(goTo("lead")),
			),
		},
		{
			name: "undialled",
			why: "the trap listener's own port is no service: dialled directly, it is like any port " +
				"that nobody serves",
			rules: list(
				one(jump("sight")),
				sources(c, "quiet", drop),
				one(reset),
			),
		},
	}
}

// places refuses a SYN to one more port than a source is led to.
func places(c Config, set string) []rule {
	unled := func(s source) part { return notIn("invited_ports"+s.family, s.of, tcpDport) }
	return list(
		each(c, func(s source) []part {
			return []part{unled(s), beyond(InvitePorts, set+s.family, s.of), count("uninvited"), accept}
		}),
		each(c, func(s source) []part {
			return []part{unled(s), notIn(set+s.family, s.of), count("full_invited"), accept}
		}),
	)
}

// crude are SYNs that complete no connection.
//
// Every stack announces its segment size (RFC 9293, 3.7.1: SHOULD, and nearly all
// do); scanners that write their packets themselves leave it out (masscan, zmap before
// 4.1, hping3, Mirai), or send it alone with a window of 1024 (nmap's tcpip.cc,
// masscan since 2023). These rules are for a source past its trigger; the door's are
// for everybody.
func crude(then part) []rule {
	return list(
		one(withoutOption("maxseg", 2), then),
		one(equals(tcpWindow, "1024", be16(1024)), withoutOption("sack-perm", 4), then),
	)
}
