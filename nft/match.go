// SPDX-License-Identifier: MIT

package nft

import (
	"fmt"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Bits of include/uapi/linux/netfilter/nf_conntrack_common.h: IPS_ASSURED and
// IPS_DST_NAT. TCP is assured by the last packet of the handshake, UDP by a packet two
// seconds after the first of a flow in both directions.
const (
	statusAssured = 1 << 2
	statusDNAT    = 1 << 5
)

// l4 matches the protocol.
func l4(name string, number byte) part {
	return part{text: "meta l4proto " + name, exprs: protocol(number).exprs(), says: []need{protocol(number)}}
}

// isIPv6 matches the family.
var isIPv6 = part{
	text: "meta nfproto ipv6", exprs: family(unix.NFPROTO_IPV6).exprs(),
	says: []need{family(unix.NFPROTO_IPV6)},
}

var (
	isTCP  = l4("tcp", unix.IPPROTO_TCP)
	isUDP  = l4("udp", unix.IPPROTO_UDP)
	isSCTP = l4("sctp", unix.IPPROTO_SCTP)
)

// loopback is the interface lo; its index is 1 in every network namespace
// (net/core/dev.c: LOOPBACK_IFINDEX).
var loopback = part{text: `iif "lo"`, exprs: []expr.Any{
	&expr.Meta{Key: expr.MetaKeyIIF, Register: 1},
	&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: native(1)},
}}

// trusted is an interface that the operator trusts.
var trusted = in("trusted", field{text: "iifname", load: func(register uint32) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: register}}
}})

// addressed matches the kind of the destination, or of the source.
func addressed(end, text string, op expr.CmpOp, kind uint32) part {
	return part{text: "fib " + end + " type " + text, exprs: []expr.Any{
		&expr.Fib{Register: 1, FlagSADDR: end == "saddr", FlagDADDR: end == "daddr", ResultADDRTYPE: true},
		&expr.Cmp{Op: op, Register: 1, Data: native(kind)},
	}}
}

var (
	notLocal  = addressed("daddr", "!= local", expr.CmpOpNeq, unix.RTN_LOCAL)
	broadcast = addressed("daddr", "broadcast", expr.CmpOpEq, unix.RTN_BROADCAST)
	fromHere  = addressed("saddr", "local", expr.CmpOpEq, unix.RTN_LOCAL)
	multicast = addressed("daddr", "multicast", expr.CmpOpEq, unix.RTN_MULTICAST)
)

// served matches a packet for a socket of this host: a listener, or a connection, be it
// half made or ending. "transparent" is 0 or 1, so the comparison holds for any
// socket; without one the expression ends the rule.
// ("wildcard" finds no request socket: net/netfilter/nft_socket.c.)
var served = part{text: "socket transparent <= 1", exprs: []expr.Any{
	&expr.Socket{Key: expr.SocketKeyTransparent, Register: 1},
	&expr.Cmp{Op: expr.CmpOpLte, Register: 1, Data: []byte{1}},
}}

// bits matches a conntrack field with any bit of the mask set or, with none, no bit.
func bits(text string, key expr.CtKey, mask uint32, none bool) part {
	op := expr.CmpOpNeq
	if none {
		op = expr.CmpOpEq
	}
	return part{text: text, exprs: []expr.Any{
		&expr.Ct{Key: key, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: native(mask), Xor: make([]byte, 4)},
		&expr.Cmp{Op: op, Register: 1, Data: make([]byte, 4)},
	}}
}

// The states of a packet in conntrack. A flow is established once both sides have sent
// something; "new, untracked" is the first packet of a flow, or any packet of a flow
// without conntrack.
var (
	established = bits("ct state established,related", expr.CtKeySTATE,
		expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED, false)
	beginning = bits("ct state new,untracked", expr.CtKeySTATE,
		expr.CtStateBitNEW|expr.CtStateBitUNTRACKED, false)
	flowing    = equal("ct state == established", expr.CtKeySTATE, native(expr.CtStateBitESTABLISHED))
	untracked  = bits("ct state untracked", expr.CtKeySTATE, expr.CtStateBitUNTRACKED, false)
	lasting    = bits("ct status assured", expr.CtKeySTATUS, statusAssured, false)
	brief      = bits("ct status ! assured", expr.CtKeySTATUS, statusAssured, true)
	translated = bits("ct status dnat", expr.CtKeySTATUS, statusDNAT, false)

	// IP_CT_DIR_ORIGINAL and IP_CT_DIR_REPLY (nf_conntrack_tuple_common.h)
	original = equal("ct direction original", expr.CtKeyDIRECTION, []byte{0})
	reply    = equal("ct direction reply", expr.CtKeyDIRECTION, []byte{1})
)

// equal matches a conntrack field of one value. A packet has one state; to look for its bit
// would cost more.
func equal(text string, key expr.CtKey, value []byte) part {
	return part{text: text, exprs: []expr.Any{
		&expr.Ct{Key: key, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: value},
	}}
}

// mostly matches fifteen packets in sixteen: what is left is enough to remember a busy flow by.
var mostly = part{text: "meta random >= 268435456", exprs: []expr.Any{
	&expr.Meta{Key: expr.MetaKeyPRANDOM, Register: 1},
	&expr.Cmp{Op: expr.CmpOpGte, Register: 1, Data: []byte{0x10, 0, 0, 0}},
}}

// large is a packet of a flow that is busy. A small one may be the only one for hours: with its
// headers, a keepalive of WireGuard has 80 bytes at most, an answer to its handshake 140. The kernel
// has the length in the order of the host.
var large = part{text: "meta length > 160", exprs: []expr.Any{
	&expr.Meta{Key: expr.MetaKeyLEN, Register: 1},
	&expr.Byteorder{SourceRegister: 1, DestRegister: 1, Op: expr.ByteorderHton, Len: 4, Size: 4},
	&expr.Cmp{Op: expr.CmpOpGt, Register: 1, Data: []byte{0, 0, 0, 160}},
}}

// flags compares TCP's flags that the mask names.
func flags(mask string, op expr.CmpOp, value string) part {
	names := map[string]byte{"fin": 1, "syn": 2, "rst": 4, "ack": 16}
	number := func(s string) (n byte) {
		for _, f := range strings.Split(s, " | ") {
			n |= names[f]
		}
		return n
	}
	word, wrapped := "==", func(s string) string {
		if strings.Contains(s, "|") {
			return "(" + s + ")"
		}
		return s
	}
	if op == expr.CmpOpNeq {
		word = "!="
	}
	return part{
		text:  fmt.Sprintf("tcp flags & %s %s %s", wrapped(mask), word, wrapped(value)),
		needs: []need{protocol(unix.IPPROTO_TCP)},
		exprs: []expr.Any{
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 13, Len: 1},
			&expr.Bitwise{
				SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{number(mask)}, Xor: []byte{0},
			},
			&expr.Cmp{Op: op, Register: 1, Data: []byte{number(value)}},
		},
	}
}

var (
	// opening is a packet that begins a connection.
	opening = flags("fin | syn | rst | ack", expr.CmpOpEq, "syn")
	// later is a packet that cannot begin a connection. A SYN with other flags can: Linux
	// accepts it (tcp_rcv_state_process).
	later = flags("syn | ack", expr.CmpOpNeq, "syn")
	// ofFlow is a segment inside a flow.
	ofFlow = flags("syn | ack", expr.CmpOpEq, "ack")
	// bareReset is what a port, listened on or not, answers to a segment that belongs
	// to no connection (RFC 9293, 3.10.7). One that ends a connection bears an ACK.
	bareReset = flags("rst | ack", expr.CmpOpEq, "rst")
)

// withoutOption matches a TCP packet that lacks an option of that kind.
func withoutOption(name string, kind uint8) part {
	return part{text: "tcp option " + name + " missing", exprs: []expr.Any{
		&expr.Exthdr{
			DestRegister: 1, Type: kind, Len: 1, Flags: unix.NFT_EXTHDR_F_PRESENT, Op: expr.ExthdrOpTcpopt,
		},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{0}},
	}}
}

// icmpTypes matches ICMP or ICMPv6 of these types; their names, or numbers, are text.
func icmpTypes(text string, number byte, types ...byte) part {
	nfproto, name, key := byte(unix.NFPROTO_IPV4), "icmp", nftables.TypeICMPType
	if number == unix.IPPROTO_ICMPV6 {
		nfproto, name, key = unix.NFPROTO_IPV6, "icmpv6", nftables.TypeICMP6Type
	}
	p := part{text: name + " type " + text, needs: []need{family(nfproto), protocol(number)}}
	p.exprs = []expr.Any{&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Len: 1}}
	if len(types) == 1 {
		p.exprs = append(p.exprs, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: types})
		return p
	}
	lookup := &expr.Lookup{SourceRegister: 1}
	p.set = &anonymousSet{key: key, lookup: lookup}
	for _, t := range types {
		p.set.elements = append(p.set.elements, []byte{t})
	}
	p.text = name + " type { " + text + " }"
	p.exprs = append(p.exprs, lookup)
	return p
}

// unreachable matches ICMP or ICMPv6 that says a destination is unreachable, and why;
// nft compares type and code at once.
func unreachable(name, why string, nfproto, number, kind, code byte) part {
	return part{
		text:  name + " type destination-unreachable " + name + " code " + why,
		needs: []need{family(nfproto), protocol(number)},
		exprs: []expr.Any{
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 2},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{kind, code}},
		},
	}
}

var (
	// tooBig is ICMP's word that a packet is too big for the path (RFC 1191).
	tooBig = unreachable("icmp", "frag-needed", unix.NFPROTO_IPV4, unix.IPPROTO_ICMP, 3, 4)
	// refusal is a closed port's answer (RFC 1122, 3.2.2.1; RFC 4443, 3.1).
	refusal4 = unreachable("icmp", "port-unreachable", unix.NFPROTO_IPV4, unix.IPPROTO_ICMP, 3, 3)
	refusal6 = unreachable("icmpv6", "port-unreachable", unix.NFPROTO_IPV6, unix.IPPROTO_ICMPV6, 1, 4)
)

// reset answers a TCP packet as a port without a listener does.
var reset = part{text: "reject with tcp reset", needs: []need{protocol(unix.IPPROTO_TCP)}, exprs: []expr.Any{
	&expr.Reject{Type: unix.NFT_REJECT_TCP_RST},
}}

// redirect sends a connection to the port that the map has for TCP.
var redirect = part{text: "redirect to :meta l4proto map @trap_port", exprs: []expr.Any{
	&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
	&expr.Lookup{SourceRegister: 1, DestRegister: 1, IsDestRegSet: true, SetName: "trap_port"},
	&expr.Redir{RegisterProtoMin: 1, RegisterProtoMax: 1, Flags: unix.NF_NAT_RANGE_PROTO_SPECIFIED},
}}

// logged mirrors a packet into the group. The prefix names the rule, and the threshold
// is how many packets wake the reader. Packets with IPv6 extension headers are copied
// at greater length: their port comes after these.
func logged(c Config, prefix string, threshold uint16, snaplen uint32) part {
	return part{
		text: fmt.Sprintf("log prefix %q group %d snaplen %d queue-threshold %d",
			prefix, c.Group, snaplen, threshold),
		exprs: []expr.Any{&expr.Log{
			Key: 1<<unix.NFTA_LOG_GROUP | 1<<unix.NFTA_LOG_SNAPLEN |
				1<<unix.NFTA_LOG_QTHRESHOLD | 1<<unix.NFTA_LOG_PREFIX,
			Group: c.Group, Snaplen: snaplen, QThreshold: threshold, Data: []byte(prefix),
		}},
	}
}

// extended is an IPv6 packet with an extension header first: hop-by-hop,
// routing, fragment, authentication, destination options, mobility, HIP, shim6
// (RFC 7045, section 4).
func extended() part {
	lookup := &expr.Lookup{SourceRegister: 1}
	p := part{
		text:  "ip6 nexthdr { 0, 43, 44, 51, 60, 135, 139, 140 }",
		needs: []need{family(unix.NFPROTO_IPV6)},
		set:   &anonymousSet{key: nftables.TypeInetProto, lookup: lookup},
		exprs: []expr.Any{
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 6, Len: 1}, lookup,
		},
	}
	for _, n := range []byte{0, 43, 44, 51, 60, 135, 139, 140} {
		p.set.elements = append(p.set.elements, []byte{n})
	}
	return p
}
