// SPDX-License-Identifier: MIT

package nft

import (
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// mostServices is how many answering ports are learned of one address behind this
// host. Beyond them all of its ports count as served: an address that answers
// everywhere tells nothing, and must not fill the set.
const mostServices = 128

// mostOverdue is how many late datagrams pass in [CountTime] from a source that was asked from
// behind this host.
const mostOverdue = 10

// behindChains judge what is forwarded to the networks behind this host, and to
// its published ports. There is no socket to ask: the rules learn from answers what
// is served there, and user space asks connection tracking a moment later whether a
// packet was answered. Only elements of the sets lead here.
func behindChains(c Config) []chain {
	return []chain{
		{
			name: "turns",
			why:  "a connection's beginning and end tell what is served",
			rules: list(
				one(bareReset, jump("bare")),
				one(bareReset, in("behind4", saddr4), jump("withheld")),
				one(bareReset, in("behind6", saddr6), jump("withheld")),
				one(in("behind4", saddr4), goTo("answering")),
				one(in("behind6", saddr6), goTo("answering")),
				one(in("published", proto), translated, reply, synAck, goTo("serving")),
			),
		},
		{
			name:  "withheld",
			why:   "no bare reset goes from behind to a source that passed its trigger: see unanswered",
			rules: away(c, "quiet", drop),
		},
		{
			name: "replied",
			why:  "the first answers to a datagram, which come this way too: see answering",
			rules: list(
				one(jump("answered")),
				one(in("behind4", saddr4), renew("heard", inLink)),
				one(in("behind6", saddr6), renew("heard", inLink)),
				one(in("behind4", saddr4), goTo("serving")),
				one(in("behind6", saddr6), goTo("serving")),
				one(in("published", proto), translated, goTo("serving")),
			),
		},
		{
			name: "refused",
			why: "a published port whose host says that nobody serves it. The word is about a flow, whose " +
				"other end is that host, and comes from where this is",
			rules: list(
				one(refusal4, reversible, renew("refused4", saddr4, flowProto, flowPort)),
				one(refusal6, reversible, renew("refused6", saddr6, flowProto, flowPort)),
			),
		},
		{
			name: "answering",
			why: "a network is judged while its answers come back this way: if they took another, " +
				"every source would look unanswered",
			rules: list(
				one(renew("heard", inLink)),
				one(reply, synAck, goTo("serving")),
			),
		},
		{
			name: "serving",
			why:  "a port that has answered within the last hour is served",
			rules: list(
				one(in("served4", saddr4, proto, thSport), renew("served4", saddr4, proto, thSport),
					backward),
				one(in("served6", saddr6, proto, thSport), renew("served6", saddr6, proto, thSport),
					backward),
				one(beyond(mostServices, "serves4", saddr4), renew("open4", saddr4), backward),
				one(beyond(mostServices, "serves6", saddr6), renew("open6", saddr6), backward),
				one(notIn("serves4", saddr4), count("full_serves"), backward),
				one(notIn("serves6", saddr6), count("full_serves"), backward),
				one(renew("served4", saddr4, proto, thSport), backward),
				one(renew("served6", saddr6, proto, thSport), backward),
				one(count("full_served")),
			),
		},
		{
			name: "outward",
			why: "packets that begin connections behind this host. A late answer from there makes " +
				"nobody a prober. Whoever forges one, from elsewhere, would have a flow to scan in",
			rules: list(
				one(irreversible, count("kept_forged"), drop),
				one(isTCP, opening, jump("seek")),
				one(isUDP, beginning, jump("seek")),
				one(in("egress", proto), opening, goTo("egress")),
			),
		},
		{
			name:  "seek",
			rules: learn(renew, "sought", daddr4, daddr6, proto, thDport),
		},
		{
			name: "egress",
			why:  "its requests for connections are mirrored, up to a limit for each address",
			rules: list(
				one(faster(20, 100, "outgoing4", saddr4), count("unlogged_outward"), backward),
				one(faster(20, 100, "outgoing6", saddr6), count("unlogged_outward"), backward),
				one(notIn("outgoing4", saddr4), count("full_outgoing"), backward),
				one(notIn("outgoing6", saddr6), count("full_outgoing"), backward),
				one(limit(1000, 1000), logged(c, "advanced outward", 64, c.Snaplen), backward),
				one(count("unlogged_outward")),
			),
		},
		{
			name: "published",
			why: "a published port is a service: its refusals are reported once the answer is known, and " +
				"count in user space alone. A crude packet opens no door here either",
			rules: list(
				friends(),
				one(in("door_tcp", tcpDport), opening, jump("door")),
				one(in("served4", daddr4, proto, thDport), backward),
				one(in("served6", daddr6, proto, thDport), backward),
				one(opening, goTo("again")),
				one(isUDP, beginning, goTo("again")),
			),
		},
		{
			name: "behind",
			rules: list(
				one(translated, backward),
				friends(),
				one(in("served4", daddr4, proto, thDport), backward),
				one(in("served6", daddr6, proto, thDport), backward),
				one(in("open4", daddr4), backward),
				one(in("open6", daddr6), backward),
				one(notIn("heard", outLink), backward),
				one(goTo("judged")),
			),
		},
		{
			name: "virtual",
			why: "an address of this host that others serve (IPVS). What of it nobody serves is judged as " +
				"what is behind this host",
			rules: list(
				one(in("virtual4", daddr4, proto, thDport), accept),
				one(in("virtual6", daddr6, proto, thDport), accept),
				one(served, accept),
				one(in("lately", proto, thDport), accept),
				one(in("behind4", daddr4), goTo("judged")),
				one(in("behind6", daddr6), goTo("judged")),
			),
		},
		{
			name: "judged",
			rules: list(
				one(isTCP, goTo("behind_tcp")),
				one(isUDP, goTo("behind_udp")),
				one(isSCTP, goTo("behind_sctp")),
				one(notIn("advanced_ip", proto), backward),
				one(l4("icmp", unix.IPPROTO_ICMP), backward),
				one(l4("ipv6-icmp", unix.IPPROTO_ICMPV6), backward),
				one(jump("sight_kind")),
				sources(c, "quiet", count("kept_quiet"), drop),
			),
		},
		{
			name: "behind_tcp",
			why:  "answers are no probes, not even late ones from a source that somebody there asked",
			rules: list(
				one(flags("rst", expr.CmpOpEq, "rst"), backward),
				one(synAck, backward),
				one(later, in("sought4", saddr4, proto, thSport), backward),
				one(later, in("sought6", saddr6, proto, thSport), backward),
				one(in("stealth_tcp", tcpDport), goTo("unanswered")),
				one(in("excluded_tcp", tcpDport), backward),
				one(in("advanced_tcp", tcpDport), goTo("unanswered")),
			),
		},
		{
			name: "behind_udp",
			rules: list(
				one(in("sought4", saddr4, proto, thSport), goTo("overdue")),
				one(in("sought6", saddr6, proto, thSport), goTo("overdue")),
				one(goTo("unasked")),
			),
		},
		{
			name: "overdue",
			why: "an answer that connection tracking waits for no more is rare, and a scan from the port " +
				"that " +
				"was asked is not: what is more than a few is judged as anybody's. What is kept out of " +
				"connection tracking cannot be told apart",
			rules: list(
				one(untracked, backward),
				each(c, func(s source) []part {
					return []part{atMost(mostOverdue, "overdue"+s.family, s.of), backward}
				}),
				each(c, func(s source) []part {
					return []part{notIn("overdue"+s.family, s.of), count("full_overdue")}
				}),
				one(goTo("unasked")),
			),
		},
		{
			name: "unasked",
			rules: list(
				one(in("stealth_udp", udpDport), goTo("unanswered")),
				one(in("excluded_udp", udpDport), backward),
				one(in("advanced_udp", udpDport), goTo("unanswered")),
			),
		},
		{
			name: "behind_sctp",
			rules: list(
				one(in("stealth_tcp", sctpDport), goTo("unanswered")),
				one(in("excluded_tcp", sctpDport), backward),
				one(in("advanced_tcp", sctpDport), goTo("unanswered")),
			),
		},
		{
			name: "unanswered",
			why: "to a port that has answered nobody of late. A source that has passed its trigger, or " +
				"that cannot be counted, gets there no more. A segment may be of a flow of which this " +
				"host knows nothing, since it has just taken over from another router: it passes, and a " +
				"bare reset, which is all that it can ask for, does not",
			rules: list(
				one(jump("sight_behind")),
				one(ofFlow, backward),
				sources(c, "quiet", count("kept_quiet"), drop),
				each(c, func(s source) []part {
					unseen := notIn("sight"+s.family, s.of, proto, thDport)
					return []part{unseen, count("kept_uncounted"), drop}
				}),
			),
		},
		sight(c, "sight_behind", "", "first_behind"),
		{
			name: "first_behind",
			rules: list(
				one(jump("tell")),
				one(through(tcpDport, "trigger_behind_tcp")),
				one(through(udpDport, "trigger_behind_udp")),
				one(through(sctpDport, "trigger_behind_tcp")),
			),
		},
	}
}

var (
	synAck = flags("syn | ack", expr.CmpOpEq, "syn | ack")

	// turning is a segment that begins a connection, answers one, or ends it at once.
	turning = flags("syn | rst", expr.CmpOpNeq, "0x0")

	inLink  = link("iif", expr.MetaKeyIIF)
	outLink = link("oif", expr.MetaKeyOIF)

	// The protocol of a flow, and the port that answers in it.
	flowProto = ofFlowsAnswers("ct reply protocol", 1, expr.CtKeyPROTOCOL)
	flowPort  = ofFlowsAnswers("ct reply proto-src", 2, expr.CtKeyPROTOSRC)

	// A packet from the link that its source is routed to (RFC 3704, 2.2), and from another.
	reversible   = routed("exists", 1)
	irreversible = routed("missing", 0)
)

func routed(word string, is uint32) part {
	return part{text: "fib saddr . iif oif " + word, exprs: []expr.Any{
		&expr.Fib{Register: 1, FlagSADDR: true, FlagIIF: true, ResultOIF: true, FlagPRESENT: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: native(is)},
	}}
}

// ofFlowsAnswers is a field of the answers in a packet's flow.
func ofFlowsAnswers(text string, bytes int, key expr.CtKey) field {
	return field{text: text, bytes: bytes, load: func(register uint32) []expr.Any {
		return []expr.Any{&expr.Ct{Key: key, Register: register, OptDirection: true, Direction: 1}}
	}}
}

// link is the index of an interface.
func link(text string, key expr.MetaKey) field {
	return field{text: text, bytes: 4, load: func(register uint32) []expr.Any {
		return []expr.Any{&expr.Meta{Key: key, Register: register}}
	}}
}
