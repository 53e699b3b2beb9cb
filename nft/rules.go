// SPDX-License-Identifier: MIT

package nft

import (
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// A rule in both of its forms. TestRulesetEqualsInstall holds them equal in a kernel.
type rule struct {
	text  string
	exprs []expr.Any
	// set is an anonymous set that the rule needs; its lookup names it by lookup.
	set *anonymousSet
}

// An anonymousSet is what stands between braces in a rule.
type anonymousSet struct {
	key      nftables.SetDatatype
	elements [][]byte
	lookup   *expr.Lookup
}

// A chain and its rules. A base chain has a hook; the others are reached by
// jump or goto.
type chain struct {
	name     string
	kind     nftables.ChainType
	hook     *nftables.ChainHook
	priority nftables.ChainPriority
	text     string // the base chain's first line
	why      string // a comment for the text form
	rules    []rule
}

// chains returns every chain, those first that others jump to.
//
//nolint:funlen // one list, read from top to bottom
func chains(c Config) []chain {
	return []chain{
		{
			name: "refuse",
			why:  "what happens to blocked and held sources. Neighbour discovery goes on: without it a neighbour's neighbours suffer",
			rules: []rule{
				icmpTypes("icmpv6 type { nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept",
					nftables.TypeICMP6Type, unix.IPPROTO_ICMPV6, []byte{134, 135, 136}, verdict(expr.VerdictAccept, "")),
				{text: "ip saddr @ignored4 accept", exprs: cat(saddr4("ignored4"), verdict(expr.VerdictAccept, ""))},
				{text: "ip6 saddr @ignored6 accept", exprs: cat(saddr6("ignored6"), verdict(expr.VerdictAccept, ""))},
				{text: "drop", exprs: verdict(expr.VerdictDrop, "")},
			},
		},
		{
			name: "early", kind: nftables.ChainTypeFilter, hook: nftables.ChainHookPrerouting, priority: *nftables.ChainPriorityRef(-310),
			text: "type filter hook prerouting priority raw - 10; policy accept;",
			why:  "before connection tracking: flows in progress and ports published to containers end here too",
			rules: []rule{
				// Held first: the transaction that blocks a source also releases it, and
				// a packet that is between the two rules then must not slip through.
				{text: "ip saddr @held4 goto refuse", exprs: cat(saddr4("held4"), verdict(expr.VerdictGoto, "refuse"))},
				{text: "ip6 saddr @held6 goto refuse", exprs: cat(saddr6("held6"), verdict(expr.VerdictGoto, "refuse"))},
				{text: "ip saddr @blocked4 goto refuse", exprs: cat(saddr4("blocked4"), verdict(expr.VerdictGoto, "refuse"))},
				{text: "ip6 saddr @blocked6 goto refuse", exprs: cat(saddr6("blocked6"), verdict(expr.VerdictGoto, "refuse"))},
				{text: "ip saddr @blocked_nets4 goto refuse", exprs: cat(saddr4("blocked_nets4"), verdict(expr.VerdictGoto, "refuse"))},
				{text: "ip6 saddr @blocked_nets6 goto refuse", exprs: cat(saddr6("blocked_nets6"), verdict(expr.VerdictGoto, "refuse"))},
			},
		},
		{
			name: "bound",
			why:  "what one source can cost: a source that talks more is left alone until it is quiet. One port after the other, so that a flood to some does not hide a scan of others",
			rules: []rule{
				{text: "update @repeats4 { ip saddr . th dport limit rate over 1/second burst 10 packets } accept", exprs: bounded("repeats4", false, true, 1, 10)},
				{text: "update @repeats6 { ip6 saddr & ffff:ffff:ffff:ffff:: . th dport limit rate over 1/second burst 10 packets } accept", exprs: bounded("repeats6", true, true, 1, 10)},
				{text: "update @talkers4 { ip saddr limit rate over 20/second burst 40 packets } accept", exprs: bounded("talkers4", false, false, 20, 40)},
				{text: "update @talkers6 { ip6 saddr & ffff:ffff:ffff:ffff:: limit rate over 20/second burst 40 packets } accept", exprs: bounded("talkers6", true, false, 20, 40)},
			},
		},
		{
			name: "held",
			why:  "no second packet of this source until the engine has judged the first. Who has a connection is let go on: it may be somebody else who probes in that name",
			rules: []rule{
				{text: "ip saddr @connected4 return", exprs: cat(saddr4("connected4"), verdict(expr.VerdictReturn, ""))},
				{text: "ip6 saddr & ffff:ffff:ffff:ffff:: @connected6 return", exprs: cat(loadNet6(), []expr.Any{&expr.Lookup{SourceRegister: 1, SetName: "connected6"}}, verdict(expr.VerdictReturn, ""))},
				{text: "add @held4 { ip saddr }", exprs: cat(loadSaddr(false), add("held4"))},
				{text: "add @held6 { ip6 saddr }", exprs: cat(loadSaddr(true), add("held6"))},
			},
		},
		{
			name: "hold",
			why:  "ports that must not answer even once",
			rules: []rule{
				{text: "tcp dport @hot_tcp goto held", exprs: cat(dport(unix.IPPROTO_TCP, "hot_tcp", false), verdict(expr.VerdictGoto, "held"))},
				{text: "udp dport @hot_udp goto held", exprs: cat(dport(unix.IPPROTO_UDP, "hot_udp", false), verdict(expr.VerdictGoto, "held"))},
				{text: "sctp dport @hot_tcp goto held", exprs: cat(dport(unix.IPPROTO_SCTP, "hot_tcp", false), verdict(expr.VerdictGoto, "held"))},
			},
		},
		logChain("classic", c),
		logChain("stealth", c),
		logChain("advanced", c),
		{
			name: "connected",
			why:  "who completed a handshake with this host: before it blocks one of them for what could be forged, picket asks the sockets",
			rules: []rule{
				{text: "add @connected4 { ip saddr }", exprs: cat(loadSaddr(false), add("connected4"))},
				{text: "add @connected6 { ip6 saddr & ffff:ffff:ffff:ffff:: }", exprs: cat(loadNet6(), add("connected6"))},
			},
		},
		{
			name: "trapped",
			why:  "the port is still the one that was dialled. A real service keeps its port",
			rules: []rule{
				{text: `iif "lo" accept`, exprs: cat(iifLoopback(), verdict(expr.VerdictAccept, ""))},
				{text: "ip saddr @ignored4 accept", exprs: cat(saddr4("ignored4"), verdict(expr.VerdictAccept, ""))},
				{text: "ip6 saddr @ignored6 accept", exprs: cat(saddr6("ignored6"), verdict(expr.VerdictAccept, ""))},
				{text: "fib daddr type != local accept", exprs: cat(notLocal(), verdict(expr.VerdictAccept, ""))},
				{text: "socket wildcard <= 1 accept", exprs: cat(served(), verdict(expr.VerdictAccept, ""))},
				{text: "tcp dport @stealth_tcp jump stealth", exprs: cat(dport(unix.IPPROTO_TCP, "stealth_tcp", false), verdict(expr.VerdictJump, "stealth"))},
				{text: "tcp dport != @stealth_tcp jump classic", exprs: cat(dport(unix.IPPROTO_TCP, "stealth_tcp", true), verdict(expr.VerdictJump, "classic"))},
				{text: "meta l4proto tcp redirect to :meta l4proto map @trap_port", exprs: redirect()},
			},
		},
		{
			name: "trap", kind: nftables.ChainTypeNAT, hook: nftables.ChainHookPrerouting, priority: *nftables.ChainPriorityRef(-90),
			text: "type nat hook prerouting priority dstnat + 10; policy accept;",
			why:  "new connections to classic ports go to the trap listener. After everybody's dstnat: a published port is not a trap",
			rules: []rule{
				{text: "tcp dport @classic_tcp tcp flags & (fin | syn | rst | ack) == syn goto trapped",
					exprs: cat(dport(unix.IPPROTO_TCP, "classic_tcp", false), tcpFlags(0x17, expr.CmpOpEq, 0x02), verdict(expr.VerdictGoto, "trapped"))},
			},
		},
		{
			name: "backscatter",
			why:  "answers to what we never sent are counted, apart from probes: or they would use up what their source may cost, and hide its scan",
			rules: []rule{
				logLine(c, 50, 100, 64, "advanced bulk", "", nil),
			},
		},
		{
			name: "mirror_tcp",
			rules: []rule{
				{text: "socket wildcard <= 1 accept", exprs: cat(served(), verdict(expr.VerdictAccept, ""))},
				{text: "tcp flags & rst == rst goto backscatter", exprs: cat(l4proto(unix.IPPROTO_TCP), tcpFlags(0x04, expr.CmpOpEq, 0x04), verdict(expr.VerdictGoto, "backscatter"))},
				{text: "tcp flags & (syn | ack) == (syn | ack) goto backscatter", exprs: cat(l4proto(unix.IPPROTO_TCP), tcpFlags(0x12, expr.CmpOpEq, 0x12), verdict(expr.VerdictGoto, "backscatter"))},
				{text: "tcp dport @stealth_tcp goto stealth", exprs: cat(dport(unix.IPPROTO_TCP, "stealth_tcp", false), verdict(expr.VerdictGoto, "stealth"))},
				{text: "tcp dport @excluded_tcp accept", exprs: cat(dport(unix.IPPROTO_TCP, "excluded_tcp", false), verdict(expr.VerdictAccept, ""))},
				{text: "tcp dport @advanced_tcp goto advanced", exprs: cat(dport(unix.IPPROTO_TCP, "advanced_tcp", false), verdict(expr.VerdictGoto, "advanced"))},
			},
		},
		{
			name: "mirror_udp",
			rules: []rule{
				{text: "socket wildcard <= 1 accept", exprs: cat(served(), verdict(expr.VerdictAccept, ""))},
				{text: "udp dport @classic_udp goto classic", exprs: cat(dport(unix.IPPROTO_UDP, "classic_udp", false), verdict(expr.VerdictGoto, "classic"))},
				{text: "udp dport @stealth_udp goto stealth", exprs: cat(dport(unix.IPPROTO_UDP, "stealth_udp", false), verdict(expr.VerdictGoto, "stealth"))},
				{text: "udp dport @excluded_udp accept", exprs: cat(dport(unix.IPPROTO_UDP, "excluded_udp", false), verdict(expr.VerdictAccept, ""))},
				{text: "udp dport @advanced_udp goto advanced", exprs: cat(dport(unix.IPPROTO_UDP, "advanced_udp", false), verdict(expr.VerdictGoto, "advanced"))},
			},
		},
		{
			name: "mirror_sctp",
			why:  "SCTP has the ports of TCP",
			rules: []rule{
				{text: "sctp dport @stealth_tcp goto stealth", exprs: cat(dport(unix.IPPROTO_SCTP, "stealth_tcp", false), verdict(expr.VerdictGoto, "stealth"))},
				{text: "sctp dport @excluded_tcp accept", exprs: cat(dport(unix.IPPROTO_SCTP, "excluded_tcp", false), verdict(expr.VerdictAccept, ""))},
				{text: "sctp dport @advanced_tcp goto advanced", exprs: cat(dport(unix.IPPROTO_SCTP, "advanced_tcp", false), verdict(expr.VerdictGoto, "advanced"))},
			},
		},
		{
			name: "mirror_icmp",
			why:  "requests that only scanners send, and errors that answer nothing of ours. An echo request is no probe",
			rules: []rule{
				icmpTypes("icmp type { destination-unreachable, time-exceeded, parameter-problem, timestamp-request, info-request, address-mask-request } goto advanced",
					nftables.TypeICMPType, unix.IPPROTO_ICMP, []byte{3, 11, 12, 13, 15, 17}, verdict(expr.VerdictGoto, "advanced")),
				icmpTypes("icmpv6 type { destination-unreachable, time-exceeded, parameter-problem, 139 } goto advanced",
					nftables.TypeICMP6Type, unix.IPPROTO_ICMPV6, []byte{1, 3, 4, 139}, verdict(expr.VerdictGoto, "advanced")),
			},
		},
		{
			name: "mirror", kind: nftables.ChainTypeFilter, hook: nftables.ChainHookInput, priority: *nftables.ChainPriorityRef(-10),
			text: "type filter hook input priority filter - 10; policy accept;",
			why:  "fragments are whole, destination NAT is done, and no filter rule has dropped anything yet",
			rules: []rule{
				{text: `iif "lo" accept`, exprs: cat(iifLoopback(), verdict(expr.VerdictAccept, ""))},
				{text: "meta l4proto tcp ct status assured jump connected", exprs: cat(l4proto(unix.IPPROTO_TCP), conntrack(expr.CtKeySTATUS, statusAssured), verdict(expr.VerdictJump, "connected"))},
				{text: "ct state established,related accept", exprs: cat(conntrack(expr.CtKeySTATE, expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED), verdict(expr.VerdictAccept, ""))},
				{text: "ip saddr @ignored4 accept", exprs: cat(saddr4("ignored4"), verdict(expr.VerdictAccept, ""))},
				{text: "ip6 saddr @ignored6 accept", exprs: cat(saddr6("ignored6"), verdict(expr.VerdictAccept, ""))},
				{text: "fib daddr type != local accept", exprs: cat(notLocal(), verdict(expr.VerdictAccept, ""))},
				{text: "ct status dnat accept", exprs: cat(conntrack(expr.CtKeySTATUS, statusDNAT), verdict(expr.VerdictAccept, ""))},
				{text: "meta l4proto tcp goto mirror_tcp", exprs: cat(l4proto(unix.IPPROTO_TCP), verdict(expr.VerdictGoto, "mirror_tcp"))},
				{text: "meta l4proto udp goto mirror_udp", exprs: cat(l4proto(unix.IPPROTO_UDP), verdict(expr.VerdictGoto, "mirror_udp"))},
				{text: "meta l4proto sctp goto mirror_sctp", exprs: cat(l4proto(unix.IPPROTO_SCTP), verdict(expr.VerdictGoto, "mirror_sctp"))},
				{text: "meta l4proto != @advanced_ip accept", exprs: cat(l4protoNotIn("advanced_ip"), verdict(expr.VerdictAccept, ""))},
				{text: "meta l4proto icmp goto mirror_icmp", exprs: cat(l4proto(unix.IPPROTO_ICMP), verdict(expr.VerdictGoto, "mirror_icmp"))},
				{text: "meta l4proto icmpv6 goto mirror_icmp", exprs: cat(l4proto(unix.IPPROTO_ICMPV6), verdict(expr.VerdictGoto, "mirror_icmp"))},
				{text: "goto advanced", exprs: verdict(expr.VerdictGoto, "advanced")},
			},
		},
	}
}
