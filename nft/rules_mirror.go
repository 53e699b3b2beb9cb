// SPDX-License-Identifier: MIT

package nft

import (
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// mirrorChains find the probes among the packets delivered to this host.
func mirrorChains(c Config) []chain {
	return []chain{
		filter(chain{
			name: "mirror",
			why: "fragments are whole, destination NAT is done, and no filter rule has dropped " +
				"anything yet. Every packet delivered here is judged, unless it goes to more hosts " +
				"than this one",
			rules: list(
				one(loopback, accept),
				one(isTCP, lasting, jump("connected")),
				one(isUDP, lasting, large, mostly, accept),
				one(isUDP, lasting, jump("peers")),
				one(established, accept),
				one(isUDP, in("lately", proto, thDport), accept),
				friends(),
				one(notLocal, jump("widely")),
				one(translated, accept),
				one(in("elsewhere4", daddr4), goTo("virtual")),
				one(in("elsewhere6", daddr6), goTo("virtual")),
				one(isTCP, goTo("mirror_tcp")),
				one(isUDP, goTo("mirror_udp")),
				one(isSCTP, goTo("mirror_sctp")),
				one(notIn("advanced_ip", proto), accept),
				one(l4("icmp", unix.IPPROTO_ICMP), goTo("mirror_icmp")),
				one(l4("ipv6-icmp", unix.IPPROTO_ICMPV6), goTo("mirror_icmp")),
				one(l4("dccp", unix.IPPROTO_DCCP), goTo("sight")),
				one(l4("udplite", unix.IPPROTO_UDPLITE), goTo("sight")),
				one(goTo("sight_kind")),
			),
		}, nftables.ChainHookInput, -10, "input priority filter - 10"),
		{
			name: "widely",
			why:  "to more hosts than this one",
			rules: list(
				one(broadcast, accept),
				one(multicast, accept),
			),
		},
		{
			name: "mirror_tcp",
			rules: list(
				one(in("trap_listener", tcpDport), goTo("undialled")),
				one(served, goTo("served")),
				one(flags("rst", expr.CmpOpEq, "rst"), goTo("answers")),
				one(flags("syn | ack", expr.CmpOpEq, "syn | ack"), goTo("answers")),
				one(in("lately", proto, thDport), accept),
				one(in("asked4", saddr4, proto, thSport), jump("late")),
				one(in("asked6", saddr6, proto, thSport), jump("late")),
				one(in("stealth_tcp", tcpDport), goTo("sight")),
				one(in("excluded_tcp", tcpDport), accept),
				one(in("advanced_tcp", tcpDport), goTo("sight")),
			),
		},
		{
			name: "late",
			why:  "a late packet from an address and port that this host asked is no probe, up to a limit",
			rules: list(
				one(faster(1, 20, "late4", saddr4), backward),
				one(faster(1, 20, "late6", saddr6), backward),
				one(notIn("late4", saddr4), count("full_late"), backward),
				one(notIn("late6", saddr6), count("full_late"), backward),
				one(count("late"), accept),
			),
		},
		{
			name: "mirror_udp",
			rules: list(
				one(served, accept),
				one(in("asked4", saddr4, proto, thSport), count("late"), accept),
				one(in("asked6", saddr6, proto, thSport), count("late"), accept),
				one(in("classic_udp", udpDport), goTo("sight")),
				one(in("stealth_udp", udpDport), goTo("sight")),
				one(in("excluded_udp", udpDport), accept),
				one(in("advanced_udp", udpDport), goTo("sight")),
			),
		},
		{
			name: "mirror_sctp",
			why:  "SCTP has the ports of TCP. Chunks 2, 6, 9, 11 and 14 answer something (RFC 9260, 3.2)",
			rules: list(
				sctpAnswers(2, 6, 9, 11, 14),
				one(in("lately", proto, thDport), accept),
				one(in("stealth_tcp", sctpDport), goTo("sight")),
				one(in("excluded_tcp", sctpDport), accept),
				one(in("advanced_tcp", sctpDport), goTo("sight")),
			),
		},
		{
			name: "mirror_icmp",
			why: "requests that only scanners send, and errors that answer nothing of ours. An " +
				"echo request is no probe",
			rules: list(
				one(icmpTypes(icmpErrors, unix.IPPROTO_ICMP, 3, 11, 12), goTo("answers")),
				one(icmpTypes(icmpErrors, unix.IPPROTO_ICMPV6, 1, 3, 4), goTo("answers")),
				one(icmpTypes("timestamp-request, info-request, address-mask-request",
					unix.IPPROTO_ICMP, 13, 15, 17), goTo("sight_kind")),
				one(icmpTypes("139", unix.IPPROTO_ICMPV6, 139), goTo("sight_kind")),
			),
		},
	}
}

const icmpErrors = "destination-unreachable, time-exceeded, parameter-problem"

// sctpAnswers sends packets whose first chunk is of these types to the answers.
func sctpAnswers(types ...byte) (out []rule) {
	chunk := payload("@th,96,8", expr.PayloadBaseTransportHeader, 12, 1)
	for _, t := range types {
		out = append(out, on(equals(chunk, hex(t), []byte{t}), goTo("answers")))
	}
	return out
}
