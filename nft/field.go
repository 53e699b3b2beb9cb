// SPDX-License-Identifier: MIT

package nft

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// A field is a part of a packet to look up in a set, alone or with others (a
// concatenation). It loads what nft 1.0.6 loads for its text (nft --debug=netlink),
// so that a rule from text and one over netlink list the same.
type field struct {
	text  string
	needs []need
	bytes int
	load  func(register uint32) []expr.Any
}

func payload(text string, base expr.PayloadBase, offset, length uint32, needs ...need) field {
	return field{text: text, needs: needs, bytes: int(length), load: func(register uint32) []expr.Any {
		return []expr.Any{&expr.Payload{DestRegister: register, Base: base, Offset: offset, Len: length}}
	}}
}

// masked is a field with only the bits of a mask.
func masked(f field, text string, mask []byte) field {
	load := f.load
	f.text += " & " + text
	f.load = func(register uint32) []expr.Any {
		return append(load(register), &expr.Bitwise{
			SourceRegister: register, DestRegister: register,
			Len: uint32(len(mask)), Mask: mask, Xor: make([]byte, len(mask)),
		})
	}
	return f
}

// The fields. Ports stand in the same place in TCP, UDP, UDP-Lite, DCCP and SCTP,
// so "th dport" reads all of them.
var (
	saddr4  = payload("ip saddr", expr.PayloadBaseNetworkHeader, 12, 4, family(unix.NFPROTO_IPV4))
	daddr4  = payload("ip daddr", expr.PayloadBaseNetworkHeader, 16, 4, family(unix.NFPROTO_IPV4))
	saddr6  = payload("ip6 saddr", expr.PayloadBaseNetworkHeader, 8, 16, family(unix.NFPROTO_IPV6))
	daddr6  = payload("ip6 daddr", expr.PayloadBaseNetworkHeader, 24, 16, family(unix.NFPROTO_IPV6))
	link6   = prefixOf(saddr6, 64) // a link has a /64 (RFC 4291, 2.5.1)
	thDport = payload("th dport", expr.PayloadBaseTransportHeader, 2, 2)
	thSport = payload("th sport", expr.PayloadBaseTransportHeader, 0, 2)
	proto   = field{text: "meta l4proto", bytes: 1, load: func(register uint32) []expr.Any {
		return []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register}}
	}}
	// class is 4 for TCP and SCTP, and 17 for UDP: their numbers are 6, 132 and 17.
	class = masked(proto, "21", []byte{classMask})
)

// classMask has the bits that tell classes apart.
const classMask = 0x15

// classUnder is the class and the trigger of a count. A trigger has five bits, and
// classes leave five free.
func classUnder(n uint32) field {
	f := class
	mark := triggerBits(n)
	f.text += fmt.Sprintf(" ^ %d", mark)
	f.load = func(register uint32) []expr.Any {
		exprs := class.load(register)
		exprs[len(exprs)-1].(*expr.Bitwise).Xor = []byte{mark}
		return exprs
	}
	return f
}

// triggerBits spreads a trigger over the bits that classes leave free.
func triggerBits(n uint32) (mark byte) {
	for bit := range 8 {
		if classMask>>bit&1 == 0 {
			mark |= byte(n&1) << bit
			n >>= 1
		}
	}
	return mark
}

var ofTCP = protocol(unix.IPPROTO_TCP)

func sport(name string, number byte) field {
	return payload(name+" sport", expr.PayloadBaseTransportHeader, 0, 2, protocol(number))
}

func dport(name string, number byte) field {
	return payload(name+" dport", expr.PayloadBaseTransportHeader, 2, 2, protocol(number))
}

var (
	tcpDport           = dport("tcp", unix.IPPROTO_TCP)
	udpDport, udpSport = dport("udp", unix.IPPROTO_UDP), sport("udp", unix.IPPROTO_UDP)
	sctpDport          = dport("sctp", unix.IPPROTO_SCTP)
	tcpWindow          = payload("tcp window", expr.PayloadBaseTransportHeader, 14, 2, ofTCP)
)

// prefixOf is the prefix of so many bits around an address.
func prefixOf(f field, bits int) field {
	if bits == 8*f.bytes {
		return f
	}
	mask := make([]byte, f.bytes)
	for i := range bits {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	text, _ := netip.AddrFromSlice(mask)
	return masked(f, text.String(), mask)
}

// A source is what the rules take for one source, IPv4 or IPv6.
type source struct {
	when   []part // matches its packets
	of     field  // identifies it in them
	family string // the end of the names of its sets
}

// who returns the kinds of source: an IPv4 address, an IPv6 address on the host's own
// links, and the prefix around any other. The engine's sources are the same.
func who(c Config) []source {
	return []source{
		{of: saddr4, family: "4"},
		{when: []part{in("links6", saddr6)}, of: saddr6, family: "6"},
		{when: []part{notIn("links6", saddr6)}, of: prefixOf(saddr6, c.prefix6()), family: "6"},
	}
}

// each makes a rule for each kind of source.
func each(c Config, parts func(s source) []part) (out []rule) {
	for _, s := range who(c) {
		out = append(out, on(append(append([]part{}, s.when...), parts(s)...)...))
	}
	return out
}

// addresses is a rule for IPv4 and one for IPv6, about sources by their address alone.
func addresses(set string, then ...part) []rule {
	return []rule{
		on(append([]part{in(set+"4", saddr4)}, then...)...),
		on(append([]part{in(set+"6", saddr6)}, then...)...),
	}
}

// sources is addresses, and a rule for IPv6 sources by the prefix around them.
func sources(c Config, set string, then ...part) []rule {
	around := in(set+"6", prefixOf(saddr6, c.prefix6()))
	return append(addresses(set, then...), on(append([]part{around}, then...)...))
}

// key loads fields one behind the other.
func key(fields []field) (text string, needs []need, exprs []expr.Any) {
	var texts []string
	word := 0 // of four bytes, the least that a field takes
	for _, f := range fields {
		texts = append(texts, f.text)
		needs = append(needs, f.needs...)
		register := uint32(unix.NFT_REG32_00 + word)
		if word%4 == 0 {
			register = uint32(unix.NFT_REG_1 + word/4)
		}
		exprs = append(exprs, f.load(register)...)
		word += (f.bytes + 3) / 4
	}
	return strings.Join(texts, " . "), needs, exprs
}

func look(set string, not bool, fields []field) part {
	text, needs, exprs := key(fields)
	if not {
		text += " !="
	}
	lookup := &expr.Lookup{SourceRegister: 1, SetName: set, Invert: not}
	return part{text: text + " @" + set, needs: needs, exprs: append(exprs, lookup)}
}

// in matches a packet whose fields are in a set.
func in(set string, fields ...field) part { return look(set, false, fields) }

// notIn matches a packet whose fields are not in a set.
func notIn(set string, fields ...field) part { return look(set, true, fields) }

// through takes the verdict for a field from a map.
func through(f field, set string) part {
	_, needs, exprs := key([]field{f})
	// A destination of register 0 is the verdict (NFT_REG_VERDICT).
	lookup := &expr.Lookup{SourceRegister: 1, SetName: set, IsDestRegSet: true}
	return part{text: f.text + " vmap @" + set, needs: needs, exprs: append(exprs, lookup)}
}

// A rate is a limit of packets, in all or for each element of a set.
type rate struct {
	packets uint64
	unit    expr.LimitTime
	burst   uint32
	over    bool // matches the packets above it
}

func (r rate) String() string {
	over, unit := "", "second"
	if r.unit == expr.LimitTimeWeek {
		unit = "week"
	}
	if r.over {
		over = "over "
	}
	return fmt.Sprintf("limit rate %s%d/%s burst %d packets", over, r.packets, unit, r.burst)
}

func (r rate) expr() expr.Any {
	return &expr.Limit{Type: expr.LimitTypePkts, Rate: r.packets, Unit: r.unit, Burst: r.burst, Over: r.over}
}

// limit limits all packets together.
func limit(packets uint64, burst uint32) part {
	r := rate{packets: packets, unit: expr.LimitTimeSecond, burst: burst}
	return part{text: r.String(), exprs: []expr.Any{r.expr()}}
}

// put adds the fields to a set, or renews their timeout there. The rule continues if
// the set has them and they are within the limit, if any.
func put(set string, renew bool, limit *rate, fields ...field) part {
	text, needs, exprs := key(fields)
	word, d := "add", &expr.Dynset{SrcRegKey: 1, SetName: set, Operation: uint32(unix.NFT_DYNSET_OP_ADD)}
	if renew {
		word, d.Operation = "update", uint32(unix.NFT_DYNSET_OP_UPDATE)
	}
	if limit != nil {
		text += " " + limit.String()
		d.Exprs = []expr.Any{limit.expr()}
	}
	return part{text: fmt.Sprintf("%s @%s { %s }", word, set, text), needs: needs, exprs: append(exprs, d)}
}

// add puts the fields into a set; they stay for its timeout from then on.
func add(set string, fields ...field) part { return put(set, false, nil, fields...) }

// renew puts the fields into a set and begins their timeout anew.
func renew(set string, fields ...field) part { return put(set, true, nil, fields...) }

// once continues with the first packet of these fields within the set's timeout: a
// limit of one packet a week lets one pass. It adds and does not renew, or the timeout
// would never come. A full set ends the rule.
func once(set string, fields ...field) part { return atMost(1, set, fields...) }

// atMost is once for the first n packets.
func atMost(n uint32, set string, fields ...field) part {
	return put(set, false, &rate{packets: 1, unit: expr.LimitTimeWeek, burst: n}, fields...)
}

// beyond continues with packets of these fields after the first n within the set's timeout.
func beyond(n uint32, set string, fields ...field) part {
	return put(set, false, &rate{packets: 1, unit: expr.LimitTimeWeek, burst: n, over: true}, fields...)
}

// faster continues with packets above n a second, after the first burst.
func faster(n uint64, burst uint32, set string, fields ...field) part {
	return put(set, true, &rate{packets: n, unit: expr.LimitTimeSecond, burst: burst, over: true}, fields...)
}

// equals compares a field.
func equals(f field, text string, value []byte) part {
	_, needs, exprs := key([]field{f})
	cmp := &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: value}
	return part{text: f.text + " " + text, needs: needs, exprs: append(exprs, cmp)}
}

func be16(n uint16) []byte   { return binaryutil.BigEndian.PutUint16(n) }
func native(n uint32) []byte { return binaryutil.NativeEndian.PutUint32(n) }
