// SPDX-License-Identifier: MIT

package nft

import (
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// doubtChains lead SYNs to served ports to the queue, unless the rules alone can tell
// that a client sent them. Ordinary sources pass: connected ones, logged-in ones, and
// those that send the SYN of a current system and asked for no unserved port.
// (Friends never come this way.)
//
// From here on a packet bears a number that leads it to the queue: the rule that
// queues is in a table of its own, see [Table.Queue].
func doubtChains(c Config) []chain {
	doubtful := goTo("doubtful")
	return []chain{
		{
			name: "doubt",
			why: "a SYN waits for the inline verdict if it has no options but a segment size, may be " +
				"fragmented, acknowledges something, or is of a source that is dark or lately asked for a " +
				"port that nobody serves. Nearly all SYNs pass. A stranger's packet near its last hop is a " +
				"traceroute's",
			rules: list(
				sources(c, "askers", doubtful),
				sources(c, "dark", doubtful),
				one(compare(ttl, expr.CmpOpLt, NearHops+1), accept),
				one(compare(hopLimit, expr.CmpOpLt, NearHops+1), accept),
				one(fewOptions, doubtful),
				one(mayFragment, doubtful),
				one(acknowledging, doubtful),
				one(accept),
			),
		},
		{
			name: "doubtful",
			why: "a connection's first SYN waits, and its copies end while it may; a later one passes, so " +
				"that nobody is kept out by a reader that is stopped. What is too much for the reader " +
				"passes",
			rules: list(
				one(in("connected4", saddr4), accept),
				one(in("connected6", link6), accept),
				addresses("operators", accept),
				each2(func(f string, a field) []part {
					return []part{in("waiting"+f, a, thSport, thDport), count("kept_copies"), drop}
				}),
				each2(func(f string, a field) []part {
					return []part{in("doubted"+f, a, thSport, thDport), count("inline_later"), accept}
				}),
				one(limit(inlineRate, inlineBurst), goTo("inline")),
				one(count("inline_excess")),
			),
		},
		{
			name: "inline",
			why:  "the sets have room for all that the limit lets come here",
			rules: list(
				each2(func(f string, a field) []part {
					tuple := []field{a, thSport, thDport}
					return []part{add("doubted"+f, tuple...), add("waiting"+f, tuple...),
						count("inline_held"), called}
				}),
			),
		},
	}
}

const (
	// NearHops is the most hops left to a traceroute's packet: it asks hop after hop.
	NearHops = 5

	// inlineRate is how many packets a second the queue gets, and inlineBurst how
	// many at once: no more than it holds. Their tuples fit into the sets.
	inlineRate, inlineBurst = 1000, 100

	// inlineCall is the number that a packet bears on its way to the queue. It is a
	// traffic class, and a host ignores that of packets delivered to it.
	inlineCall = 0x7069636b
)

// called gives a packet the number that the queue's table looks for.
var called = part{text: "meta priority set 7069:636b", exprs: []expr.Any{
	&expr.Immediate{Register: 1, Data: native(inlineCall)},
	&expr.Meta{Key: expr.MetaKeyPRIORITY, SourceRegister: true, Register: 1},
}}

// acknowledging is a packet whose acknowledgement number is not 0.
var acknowledging = func() part {
	p := equals(payload("tcp ackseq", expr.PayloadBaseTransportHeader, 8, 4, protocol(unix.IPPROTO_TCP)),
		"!= 0", []byte{0, 0, 0, 0})
	p.exprs[len(p.exprs)-1].(*expr.Cmp).Op = expr.CmpOpNeq
	return p
}()

// fewOptions is a TCP header of less than seven words: no options, or one of four bytes.
var fewOptions = func() part {
	p := words(7)
	p.text = "tcp doff < 7"
	p.exprs[len(p.exprs)-1].(*expr.Cmp).Op = expr.CmpOpLt
	return p
}()

// each2 makes a rule for IPv4 and one for IPv6, about the address that sends.
func each2(parts func(family string, address field) []part) []rule {
	return []rule{on(parts("4", saddr4)...), on(parts("6", saddr6)...)}
}
