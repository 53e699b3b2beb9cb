// SPDX-License-Identifier: MIT

package nft

import (
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The pieces of which the rules are made. Each is what nft 1.0.6 sends for the
// text above it (nft --debug=netlink), so that a rule lists the same whichever
// way it came into the kernel.

// Bits of include/uapi/linux/netfilter/nf_conntrack_common.h: IPS_ASSURED, which
// TCP gets with the last packet of the handshake, and IPS_DST_NAT.
const (
	statusAssured = 1 << 2
	statusDNAT    = 1 << 5
)

func cat(parts ...[]expr.Any) (all []expr.Any) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// accept | drop | return | goto NAME | jump NAME
func verdict(kind expr.VerdictKind, chain string) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: kind, Chain: chain}}
}

// meta nfproto ipv4 | ipv6
func nfproto(family byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{family}},
	}
}

// loadSaddr loads the source address into register 1.
func loadSaddr(v6 bool) []expr.Any {
	if v6 {
		return cat(nfproto(unix.NFPROTO_IPV6), []expr.Any{&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 8, Len: 16}})
	}
	return cat(nfproto(unix.NFPROTO_IPV4), []expr.Any{&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4}})
}

// ip6 saddr & ffff:ffff:ffff:ffff::
func loadNet6() []expr.Any {
	mask := append(make([]byte, 0, 16), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	return cat(loadSaddr(true), []expr.Any{
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 16, Mask: mask[:16], Xor: make([]byte, 16)},
	})
}

// ip saddr @SET
func saddr4(set string) []expr.Any {
	return cat(loadSaddr(false), []expr.Any{&expr.Lookup{SourceRegister: 1, SetName: set}})
}

// ip6 saddr @SET
func saddr6(set string) []expr.Any {
	return cat(loadSaddr(true), []expr.Any{&expr.Lookup{SourceRegister: 1, SetName: set}})
}

// meta l4proto N
func l4proto(n byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{n}},
	}
}

// meta l4proto != @SET
func l4protoNotIn(set string) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Lookup{SourceRegister: 1, SetName: set, Invert: true},
	}
}

// tcp dport @SET | tcp dport != @SET; udp and sctp alike: the port stands in one place
func dport(protocol byte, set string, not bool) []expr.Any {
	return cat(l4proto(protocol), []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Lookup{SourceRegister: 1, SetName: set, Invert: not},
	})
}

// tcp flags & MASK == | != VALUE, behind a match of the protocol
func tcpFlags(mask byte, op expr.CmpOp, value byte) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 13, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{mask}, Xor: []byte{0}},
		&expr.Cmp{Op: op, Register: 1, Data: []byte{value}},
	}
}

// iif "lo"; its index is 1 in every network namespace (net/core/dev.c: LOOPBACK_IFINDEX)
func iifLoopback() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIF, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(1)},
	}
}

// fib daddr type != local
func notLocal() []expr.Any {
	return []expr.Any{
		&expr.Fib{Register: 1, FlagDADDR: true, ResultADDRTYPE: true},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)},
	}
}

// socket wildcard <= 1: a socket of this host takes the packet, bound to the
// address (0) or to all (1). Without one the expression ends the rule.
func served() []expr.Any {
	return []expr.Any{
		&expr.Socket{Key: expr.SocketKeyWildcard, Register: 1},
		&expr.Cmp{Op: expr.CmpOpLte, Register: 1, Data: []byte{1}},
	}
}

// ct state BITS | ct status BITS
func conntrack(key expr.CtKey, bits uint32) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: key, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
	}
}

// update @SET { saddr [. th dport] limit rate over R/second burst B packets } accept
func bounded(set string, v6, ports bool, rate uint64, burst uint32) []expr.Any {
	load, next := loadSaddr(false), uint32(unix.NFT_REG32_01) // the register behind the address
	if v6 {
		load, next = loadNet6(), unix.NFT_REG_2
	}
	if ports {
		load = append(load, &expr.Payload{DestRegister: next, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2})
	}
	return cat(load, []expr.Any{
		&expr.Dynset{
			SrcRegKey: 1, SetName: set, Operation: uint32(unix.NFT_DYNSET_OP_UPDATE),
			Exprs: []expr.Any{&expr.Limit{Type: expr.LimitTypePkts, Rate: rate, Unit: expr.LimitTimeSecond, Burst: burst, Over: true}},
		},
	}, verdict(expr.VerdictAccept, ""))
}

// add @SET { what is loaded }
func add(set string) []expr.Any {
	return []expr.Any{&expr.Dynset{SrcRegKey: 1, SetName: set, Operation: uint32(unix.NFT_DYNSET_OP_ADD)}}
}

// meta l4proto tcp redirect to :meta l4proto map @trap_port
func redirect() []expr.Any {
	return cat(l4proto(unix.IPPROTO_TCP), []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Lookup{SourceRegister: 1, DestRegister: 1, IsDestRegSet: true, SetName: "trap_port"},
		&expr.Redir{RegisterProtoMin: 1, RegisterProtoMax: 1, Flags: unix.NF_NAT_RANGE_PROTO_SPECIFIED},
	})
}

// icmp type { ... } | icmpv6 type { ... }
func icmpTypes(text string, key nftables.SetDatatype, protocol byte, types []byte, then []expr.Any) rule {
	family := byte(unix.NFPROTO_IPV4)
	if protocol == unix.IPPROTO_ICMPV6 {
		family = unix.NFPROTO_IPV6
	}
	look := &expr.Lookup{SourceRegister: 1}
	set := &anonymousSet{key: key, lookup: look}
	for _, t := range types {
		set.elements = append(set.elements, []byte{t})
	}
	return rule{text: text, set: set, exprs: cat(nfproto(family), l4proto(protocol), []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 1}, look,
	}, then)}
}

// logChain is the chain that mirrors the probes of one mode: one by one up to a
// thousand a second, and in batches what comes beyond that. What is not mirrored
// is not held either, since nobody would judge it; classic mode holds nobody, since
// its trap must be able to answer.
//
// A log rule's queue-threshold of 1 wakes the reader for each packet (0.1 ms
// from wire to engine); under a flood that would starve it, and 64 is read five
// times as cheaply.
func logChain(mode string, c Config) chain {
	rules := []rule{{text: "jump bound", exprs: verdict(expr.VerdictJump, "bound")}}
	if mode != "classic" {
		rules = append(rules, rule{text: "jump hold", exprs: verdict(expr.VerdictJump, "hold")})
	}
	return chain{
		name: mode,
		why:  "probes of " + mode + " mode",
		rules: append(rules,
			logLine(c, 1000, 1000, 1, mode, " return", verdict(expr.VerdictReturn, "")),
			logLine(c, 50000, 5000, 64, mode+" bulk", "", nil),
		),
	}
}

// limit rate R/second burst B packets log prefix P group G snaplen S queue-threshold T END
func logLine(c Config, rate, burst, threshold uint32, prefix, end string, then []expr.Any) rule {
	return rule{
		text: fmt.Sprintf("limit rate %d/second burst %d packets log prefix %q group %d snaplen %d queue-threshold %d%s", rate, burst, prefix, c.Group, c.Snaplen, threshold, end),
		exprs: cat([]expr.Any{
			&expr.Limit{Type: expr.LimitTypePkts, Rate: uint64(rate), Unit: expr.LimitTimeSecond, Burst: burst},
			&expr.Log{
				Key:   1<<unix.NFTA_LOG_GROUP | 1<<unix.NFTA_LOG_SNAPLEN | 1<<unix.NFTA_LOG_QTHRESHOLD | 1<<unix.NFTA_LOG_PREFIX,
				Group: c.Group, Snaplen: c.Snaplen, QThreshold: uint16(threshold), Data: []byte(prefix),
			},
		}, then),
	}
}
