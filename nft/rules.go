// SPDX-License-Identifier: MIT

package nft

import "github.com/google/nftables"

// chains returns every chain, in the order of a packet's way.
func chains(c Config) (all []chain) {
	for _, of := range []func(Config) []chain{
		blockChains, listedChains, trapChains, mirrorChains, sightChains, triggerChains, laneChains,
		doorChains, doubtChains, fenceChains, behindChains, learnChains, darkChains,
	} {
		all = append(all, of(c)...)
	}
	return all
}

// list makes one list of rules.
func list(rules ...[]rule) (all []rule) {
	for _, r := range rules {
		all = append(all, r...)
	}
	return all
}

// one is a list of one rule.
func one(parts ...part) []rule { return []rule{on(parts...)} }

// base is a chain with a hook; priority is the number that text ends with.
func base(
	ch chain, kind nftables.ChainType, hook *nftables.ChainHook, priority nftables.ChainPriority, text string,
) chain {
	ch.kind, ch.hook, ch.priority = kind, hook, priority
	ch.text = "type " + string(kind) + " hook " + text + "; policy accept;"
	return ch
}

// filter is a base chain of the type filter.
func filter(ch chain, hook *nftables.ChainHook, priority nftables.ChainPriority, text string) chain {
	return base(ch, nftables.ChainTypeFilter, hook, priority, text)
}

// measured makes a rule for each kind of source. The key of the set is the source and
// the fields; then applies to packets that match there, and rest, if any, to those that
// find the set full. A full set ends the rule that adds to it.
func measured(c Config, set string, also []field, match matcher, then, rest []part) []rule {
	of := func(s source) []field { return append([]field{s.of}, also...) }
	return list(
		each(c, func(s source) []part { return append([]part{match(set+s.family, of(s)...)}, then...) }),
		each(c, func(s source) []part {
			return append([]part{notIn(set+s.family, of(s)...), count("full_" + set)}, rest...)
		}),
	)
}

// A matcher is how measured matches: once, or one of the following.
type matcher = func(set string, of ...field) part

func fasterThan(perSecond uint64, burst uint32) matcher {
	return func(set string, of ...field) part { return faster(perSecond, burst, set, of...) }
}

func moreThan(n uint32) matcher {
	return func(set string, of ...field) part { return beyond(n, set, of...) }
}

// friends pass, whatever else is done about them.
func friends() []rule { return list(addresses("ignored", accept), one(trusted, accept)) }
