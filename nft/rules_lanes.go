// SPDX-License-Identifier: MIT

package nft

// LongSnaplen is how many bytes are copied of an IPv6 packet with extension headers:
// its port comes after them, and an Ethernet frame has no more.
const LongSnaplen = 1500

// laneChains bring packets to the reader. Packets that cannot count (repeats, answers,
// and those of a source past its trigger) are bounded for each source, and take no
// room from those that can.
func laneChains(c Config) []chain {
	return []chain{
		{
			name: "tell",
			why:  "the mode is the list that the port is in",
			rules: list(
				one(in("stealth_tcp", tcpDport), goTo("stealth")),
				one(in("stealth_udp", udpDport), goTo("stealth")),
				one(in("stealth_tcp", sctpDport), goTo("stealth")),
				one(in("classic_tcp", tcpDport), goTo("classic")),
				one(in("classic_udp", udpDport), goTo("classic")),
				one(goTo("advanced")),
			),
		},
		mode(c, "classic"),
		mode(c, "stealth"),
		mode(c, "advanced"),
		{
			name: "again",
			why: "a source's further packets to a port. One port after the other, so that a flood " +
				"to some does not hide what is sent to others",
			rules: list(
				measured(c, "repeats", []field{thDport}, fasterThan(1, 10),
					[]part{count("unlogged_repeats"), backward}, nil),
				one(goTo("again_kind")),
			),
		},
		{
			name:  "again_kind",
			rules: list(bounded(c, 20, 60, "again"), one(goTo("tell"))),
		},
		{
			name:  "hushed",
			why:   "a source that passed its trigger is still heard",
			rules: list(bounded(c, 20, 40, "talkers"), one(goTo("tell"))),
		},
		{
			name: "answers",
			why:  "answers to what this host never sent: somebody sends in its name",
			rules: list(
				measured(c, "answers", nil, fasterThan(10, 20), []part{goTo("deaf")}, []part{goTo("deaf")}),
				one(limit(50, 100), logged(c, "advanced bulk", 64, c.Snaplen), backward),
				one(count("unlogged_answers")),
			),
		},
		{
			name: "deaf",
			why: "beyond a limit this host sends no reset: a SYN+ACK, like any segment, would learn from " +
				"it that this host is there",
			rules: list(
				one(jump("excess")),
				one(in("guarded_tcp", tcpDport), count("kept_answers"), drop),
				one(in("guarded_tcp", sctpDport), count("kept_answers"), drop),
			),
		},
		{
			name: "tell_held",
			why: "the engine is told who passed a trigger here: it keeps fewer ports of a source that " +
				"mixes protocols",
			rules: list(
				// A SYN to the trap proves nothing: its connection will be judged.
				one(in("classic_tcp", tcpDport), opening, backward),
				one(limit(1000, 1000), logged(c, "advanced held", 1, c.Snaplen), backward),
				one(count("unlogged_held")),
			),
		},
		{
			name: "excess",
			why:  "a source that exceeds a limit is reported once a minute",
			rules: list(
				measured(c, "over", nil, moreThan(1), []part{count("unlogged_over"), backward}, nil),
				one(limit(100, 100), logged(c, "advanced over", 1, c.Snaplen), backward),
				one(count("unlogged_over")),
			),
		},
	}
}

// bounded sends a source's packets above a rate to the chain excess.
func bounded(c Config, perSecond uint64, burst uint32, set string) []rule {
	return measured(c, set, nil, fasterThan(perSecond, burst), []part{goTo("excess")}, nil)
}

// mode is the chain that mirrors the probes of one mode: one by one up to a
// thousand a second, and in batches beyond that.
//
// A log rule's queue-threshold of 1 wakes the reader for each packet (0.1 ms
// from wire to engine); under a flood that would starve it, and 64 is read five
// times as cheaply.
func mode(c Config, name string) chain {
	return chain{
		name: name,
		why:  "probes of " + name + " mode",
		rules: list(
			one(extended(), limit(100, 200), logged(c, name, 1, LongSnaplen), backward),
			one(limit(1000, 1000), logged(c, name, 1, c.Snaplen), backward),
			one(limit(50000, 5000), logged(c, name+" bulk", 64, c.Snaplen), backward),
			one(count("unlogged_"+name)),
		),
	}
}
