// SPDX-License-Identifier: MIT

package nft

import (
	"fmt"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// doorChains refuse, on served ports, SYNs that no client's stack sends. They are
// probe.RawSYN in the kernel's words: the sources of each rule, and the stacks spared
// for sending nearly the same, are there. A fragment never matches.
func doorChains(Config) []chain {
	closed := goTo("closed_door")
	// A window of 1024 or 1025, and of 65535, is what raw scanners write.
	small, large := between(tcpWindow, 1024, 1025), equals(tcpWindow, "65535", be16(65535))
	// lwIP sends much the same, from its own ports.
	notLwIP := compare(tcpSport, expr.CmpOpLt, 49152)
	far4, far6 := compare(ttl, expr.CmpOpGt, 128), compare(hopLimit, expr.CmpOpGt, 128)
	oversized := mssAbove(1025)
	return []chain{
		{
			name: "served",
			why: "a packet for a socket is no probe. The door's ports refuse crude packets; at those " +
				"of the inline verdict a doubtful SYN waits for it",
			rules: list(
				one(in("door_tcp", tcpDport), opening, jump("door")),
				one(in("inline", proto), opening, goTo("doubt")),
				one(accept),
			),
		},
		{
			name: "door",
			why:  "over IPv4, a SYN with DF may be anybody's",
			rules: list(
				one(mayFragment, goTo("door4")),
				one(isIPv6, goTo("door6")),
				one(backward),
			),
		},
		{
			name: "door4",
			why: "masscan, nmap, zmap; five, six and eight words are no option, MSS alone, the options " +
				"of Windows",
			rules: list(
				one(words(5), far4, small, closed),
				one(words(5), far4, large, closed),
				one(words(6), small, oversized, closed),
				one(words(6), far4, large, notLwIP, closed),
				one(words(8), far4, large, notLwIP, closed),
				one(equals(ipID, "54321", be16(54321)), large, closed),
				one(backward),
			),
		},
		{
			name: "door6",
			rules: list(
				one(words(5), far6, small, closed),
				one(words(5), far6, large, closed),
				one(words(6), small, oversized, closed),
				one(backward),
			),
		},
		{
			name:  "closed_door",
			rules: list(one(count("kept_door"), drop)),
		},
	}
}

var (
	tcpSport = sport("tcp", unix.IPPROTO_TCP)
	ipID     = payload("ip id", expr.PayloadBaseNetworkHeader, 4, 2, family(unix.NFPROTO_IPV4))
	ttl      = payload("ip ttl", expr.PayloadBaseNetworkHeader, 8, 1, family(unix.NFPROTO_IPV4))
	hopLimit = payload("ip6 hoplimit", expr.PayloadBaseNetworkHeader, 7, 1, family(unix.NFPROTO_IPV6))

	// mayFragment is an IPv4 packet without DF.
	mayFragment = equals(masked(payload("ip frag-off", expr.PayloadBaseNetworkHeader, 6, 2,
		family(unix.NFPROTO_IPV4)), "0x4000", be16(0x4000)), "== 0", be16(0))
)

// words matches a TCP header of so many words of four bytes.
func words(n byte) part {
	f := masked(payload("tcp doff", expr.PayloadBaseTransportHeader, 12, 1, ofTCP), "", []byte{0xf0})
	f.text = "tcp doff"
	return equals(f, fmt.Sprint(n), []byte{n << 4})
}

// compare compares a field of one or two bytes with a number.
func compare(f field, op expr.CmpOp, n uint16) part {
	word := ">"
	if op == expr.CmpOpLt {
		word = "<"
	}
	value := be16(n)
	p := equals(f, fmt.Sprintf("%s %d", word, n), value[2-f.bytes:])
	p.exprs[len(p.exprs)-1].(*expr.Cmp).Op = op
	return p
}

// between matches a field of two bytes from one number to another.
func between(f field, low, high uint16) part {
	_, needs, exprs := key([]field{f})
	return part{text: fmt.Sprintf("%s %d-%d", f.text, low, high), needs: needs, exprs: append(exprs,
		&expr.Cmp{Op: expr.CmpOpGte, Register: 1, Data: be16(low)},
		&expr.Cmp{Op: expr.CmpOpLte, Register: 1, Data: be16(high)})}
}

// mssAbove matches a TCP packet with a maximum segment size above n.
func mssAbove(n uint16) part {
	return part{
		text:  fmt.Sprintf("tcp option maxseg size > %d", n),
		needs: []need{protocol(unix.IPPROTO_TCP)},
		exprs: []expr.Any{
			&expr.Exthdr{DestRegister: 1, Type: 2, Offset: 2, Len: 2, Op: expr.ExthdrOpTcpopt},
			&expr.Cmp{Op: expr.CmpOpGt, Register: 1, Data: be16(n)},
		},
	}
}
