// SPDX-License-Identifier: MIT

package nft

import "fmt"

// MaxTrigger is the most ports that the rules let a source probe before they hold
// it. It is the engine's.
const MaxTrigger = 31

// sightChains tell the first packet of a source to a port from the rest.
func sightChains(c Config) []chain {
	return []chain{
		sight(c, "sight", "the first packet of a source to a port counts, all others have lanes of their "+
			"own. When the set is full, whoever is new is not counted, and gets no answer "+
			"either: see silent. Whom the operator knows and lets be is told of and not counted",
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
			why: "told are the ports of which this host has said to anybody that nobody serves " +
				"them: there are so many, and from then on only these go on answering those who " +
				"are new. " +
				"The sources of one link share a measure too; beyond it the ports that nobody serves are " +
				"silent to all of them",
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
			why:  "who asked for what nobody serves is doubted where he asks for what is",
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
				"are silent to it, and for seconds all else, until the engine has judged it",
			rules: list(
				one(jump("tell_held")),
				each(c, func(s source) []part { return []part{add("quiet"+s.family, s.of), goTo("hold")} }),
				one(count("full_quiet"), drop),
			),
		},
		{
			name: "hold",
			why: "no second packet of this source until the engine has judged the first; flows " +
				"that live go on. A source is held six times in an hour at most: " +
				"whoever probes in its name must not keep it from this host's services",
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

// sight is a chain that leads the first packet of a source to a port to another one.
func sight(c Config, name, why, first string) chain {
	return chain{name: name, why: why, rules: list(
		own(c, "quiet", goTo("hushed")),
		addresses("known", goTo("hushed")),
		measured(c, "sight", []field{proto, thDport}, once, []part{goTo(first)}, []part{goTo("tell")}),
		one(goTo("again")),
	)}
}

// own is a rule for each kind of source, about sources of which a set has just
// that: not the prefix around an address of a link.
func own(c Config, set string, then ...part) []rule {
	return each(c, func(s source) []part { return append([]part{in(set+s.family, s.of)}, then...) })
}

// triggerChains count the ports of a source, a chain for each trigger there may
// be: a limit stands in a rule, and the configuration in the maps that lead here.
// The key has the class of the protocol and the trigger, since the rule that makes an
// element decides about its limit: where stealth and advanced have triggers of their
// own, a source has a count under each. Who cannot be counted is not answered.
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

// countChain is the chain that lets n ports of a source pass. With 0 the first
// one is too many.
func countChain(what string, n int) string {
	if n == 0 {
		return "passed"
	}
	return fmt.Sprintf("%s_%d", what, n)
}

// hex is a number of one byte as nft prints a raw one.
func hex(n byte) string { return fmt.Sprintf("0x%x", n) }
