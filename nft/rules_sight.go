// SPDX-License-Identifier: MIT

package nft

import "fmt"

// MaxTrigger is the highest trigger: the most ports that a source may probe before the
// rules hold it. The engine has the same.
const MaxTrigger = 31

// sightChains tell the first packet of a source to a port from the rest.
func sightChains(c Config) []chain {
	return []chain{
		sight(c, "sight", "the first packet of a source to a port counts, all others have lanes of their "+
			"own. When the set is full, a new source is not counted, and gets no answer "+
			"either: see silent. A source of the operator's lists is reported and not counted",
			"first_port"),
		{
			name: "sight_kind",
			why:  "of a protocol without ports the protocol is the port",
			rules: list(
				own(c, "quiet", goTo("hushed")),
				addresses("known", goTo("hushed")),
				measured(c, "kinds", []field{proto}, once, []part{goTo("first_kind")}, []part{goTo("tell")}),
				one(goTo("again_kind")),
			),
		},
		{
			name: "first_port",
			why: "a port is told once this host has said to anybody that nobody serves it. The set is " +
				"small: when it is full, only told ports go on answering new sources. The sources of " +
				"one link share a limit too; beyond it the ports that nobody serves are silent to " +
				"all of them",
			rules: list(
				one(jump("tell")),
				one(in("inline", proto), jump("asker")),
				one(add("told", proto, thDport)),
				one(in("links6", saddr6), beyond(linkTrigger, "linked6", link6, class),
					add("quiet_links6", link6)),
				one(in("links6", saddr6), notIn("linked6", link6, class), count("full_linked")),
				one(through(tcpDport, "trigger_tcp")),
				one(through(udpDport, "trigger_udp")),
				one(through(sctpDport, "trigger_tcp")),
				one(through(proto, "trigger_ip")),
			),
		},
		{
			name: "asker",
			why:  "a source that asked for an unserved port is doubted at the served ones",
			rules: list(
				each(c, func(s source) []part { return []part{add("askers"+s.family, s.of), backward} }),
				one(count("full_askers")),
			),
		},
		{
			name: "first_kind",
			rules: list(
				one(jump("tell")),
				one(through(proto, "trigger_ip")),
			),
		},
		{
			name: "passed",
			why: "a source has passed its trigger: for ten minutes the ports that nobody serves " +
				"are silent to it, and for seconds all others, until the engine has judged it",
			rules: list(
				one(jump("tell_held")),
				each(c, func(s source) []part { return []part{add("quiet"+s.family, s.of), goTo("hold")} }),
				one(count("full_quiet"), drop),
			),
		},
		{
			name: "hold",
			why: "no second packet of this source passes until the engine has judged the first; living " +
				"flows go on. A source is held six times in an hour at most: a probe in its name must " +
				"not keep it from this host's services",
			rules: list(
				addresses("operators", backward),
				own(c, "held", backward),
				measured(c, "holds", nil, moreThan(maxHolds), []part{backward}, []part{backward}),
				each(c, func(s source) []part { return []part{add("held"+s.family, s.of), backward} }),
				one(count("full_held")),
			),
		},
	}
}

// sight is a chain that sends the first packet of a source to a port on to the chain
// first.
func sight(c Config, name, why, first string) chain {
	return chain{name: name, why: why, rules: list(
		own(c, "quiet", goTo("hushed")),
		addresses("known", goTo("hushed")),
		measured(c, "sight", []field{proto, thDport}, once, []part{goTo(first)}, []part{goTo("tell")}),
		one(goTo("again")),
	)}
}

// own makes a rule for each kind of source, for sources that are in a set as they are:
// not by the prefix around an address of a link.
func own(c Config, set string, then ...part) []rule {
	return each(c, func(s source) []part { return append([]part{in(set+s.family, s.of)}, then...) })
}

// triggerChains count the ports of a source, a chain for each possible trigger: the
// rules have the limits, and the maps that lead here the configuration. The rule that
// makes an element sets its limit, so the key has the class of the protocol and the
// trigger: if stealth and advanced differ in trigger, a source has a count for each. A
// source that cannot be counted is not answered.
func triggerChains(c Config) (out []chain) {
	counting := func(name string, n uint32, set string, also ...field) chain {
		rules := measured(c, set, also, moreThan(n), []part{goTo("passed")}, []part{drop})
		return chain{name: name, rules: rules}
	}
	for n := uint32(1); n <= MaxTrigger; n++ {
		out = append(out, counting(countChain("ports", int(n)), n, "ports", classUnder(n)),
			counting(countChain("others", int(n)), n, "others"))
	}
	return out
}

// countChain names the chain that lets n ports of a source pass. With 0 the first
// one is too many.
func countChain(what string, n int) string {
	if n == 0 {
		return "passed"
	}
	return fmt.Sprintf("%s_%d", what, n)
}

// hex is a number of one byte as nft prints a raw one.
func hex(n byte) string { return fmt.Sprintf("0x%x", n) }
