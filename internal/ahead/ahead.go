// SPDX-License-Identifier: MIT

// Package ahead finds what drops packets before picket hears them: base chains of other
// tables ahead of its mirror.
//
// It asks the kernel and changes nothing. It needs CAP_NET_ADMIN. What is written for
// iptables-legacy, XDP or tc is not seen.
package ahead

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"picket/nft"
)

// Says is what an operator needs to know of a chain that [Look] returned.
func Says(chain string) string {
	return "chain " + chain + " of another firewall drops packets before picket hears them: who probes the " +
		"ports that it drops is not seen, not counted and not blocked"
}

// Remedy is what he can do about it.
const Remedy = "drop in hook input (iptables: INPUT of filter) at priority filter or later instead, where " +
	"picket has heard the packet"

// mirror is the priority of picket's mirror, in hook input.
const mirror = -10

// Look names nftables' tables, "inet filter", and those base chains that drop strangers'
// probes ahead of the mirror, "inet filter first", picket's own excepted.
func Look() (tables, chains []string, err error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, nil, fmt.Errorf("open nftables: %w", err)
	}
	all, err := conn.ListTables()
	if err != nil {
		return nil, nil, fmt.Errorf("list tables: %w", err)
	}
	list, err := conn.ListChains()
	if err != nil {
		return nil, nil, fmt.Errorf("list chains: %w", err)
	}
	families := map[nftables.TableFamily]string{
		nftables.TableFamilyINet: "inet", nftables.TableFamilyIPv4: "ip", nftables.TableFamilyIPv6: "ip6",
		nftables.TableFamilyARP: "arp", nftables.TableFamilyBridge: "bridge",
		nftables.TableFamilyNetdev: "netdev",
	}
	for _, t := range all {
		tables = append(tables, families[t.Family]+" "+t.Name)
	}
	links, err := net.Interfaces()
	if err != nil {
		return nil, nil, fmt.Errorf("list links: %w", err)
	}
	links = slices.DeleteFunc(links, func(l net.Interface) bool { return l.Flags&net.FlagLoopback != 0 })
	for _, c := range list {
		if c.Table.Name == nft.Name || !comesFirst(c) {
			continue
		}
		dropped, ended := follow(conn, links, c, 0)
		if dropped || !ended && c.Policy != nil && *c.Policy == nftables.ChainPolicyDrop {
			chains = append(chains, families[c.Table.Family]+" "+c.Table.Name+" "+c.Name)
		}
	}
	return tables, chains, nil
}

// inetIngress is NF_INET_INGRESS of linux/netfilter.h.
const inetIngress = 5

// comesFirst reports whether packets reach a chain before they reach the mirror.
func comesFirst(c *nftables.Chain) bool {
	if c.Hooknum == nil || c.Priority == nil {
		return false
	}
	switch hook := *c.Hooknum; c.Table.Family {
	case nftables.TableFamilyNetdev:
		return hook == unix.NF_NETDEV_INGRESS
	case nftables.TableFamilyINet, nftables.TableFamilyIPv4, nftables.TableFamilyIPv6:
		return hook == unix.NF_INET_PRE_ROUTING || hook == inetIngress ||
			hook == unix.NF_INET_LOCAL_IN && *c.Priority < mirror
	}
	return false
}

// deepest is how many jumps are followed: the kernel allows no more (NFT_JUMP_STACK_SIZE).
const deepest = 16

// follow leads a stranger's first packet to a port that nobody serves through a chain, and
// reports whether a rule drops it; ended, that none does and no later rule hears it. What the
// packet does not settle, such as its source, a limit or a way back, counts as not met.
func follow(conn *nftables.Conn, links []net.Interface, c *nftables.Chain, depth int) (dropped, ended bool) {
	rules, err := conn.GetRules(c.Table, c)
	if err != nil || depth == deepest { // the chain is gone already
		return false, false
	}
	for _, r := range rules {
		v, all := verdict(r.Exprs, links)
		if v == nil {
			continue
		}
		switch v.Kind {
		case expr.VerdictDrop:
			return true, true
		case expr.VerdictJump, expr.VerdictGoto:
			dropped, ended = follow(conn, links, &nftables.Chain{Name: v.Chain, Table: c.Table}, depth+1)
			if dropped || all && (ended || v.Kind == expr.VerdictGoto) {
				return dropped, ended
			}
		case expr.VerdictAccept:
			if all {
				return false, true
			}
		case expr.VerdictReturn:
			if all {
				return false, false
			}
		}
	}
	return false, false
}

// A field is what a register holds of a probe.
type field int

const (
	unknown  field = iota
	other          // a number that some probe has: its family
	protocol       // TCP or UDP
	link           // one of the host's, by name or number
	port           // one that no rule names
	exact          // what is known of a first packet: its flags, its state
)

// tcpFlags are those of a client's first segment.
const tcpFlags = 0x02

// verdict returns what a rule says of a stranger's probe, nil for nothing, and whether it
// says so of every packet.
func verdict(exprs []expr.Any, links []net.Interface) (v *expr.Verdict, all bool) {
	fields, value, all := map[uint32]field{}, []byte(nil), true
	for _, e := range exprs {
		switch e := e.(type) {
		case *expr.Verdict:
			return e, all
		case *expr.Reject:
			return &expr.Verdict{Kind: expr.VerdictDrop}, all
		case *expr.Counter, *expr.Log:
			continue
		case *expr.Match:
			if e.Name != "comment" {
				return nil, false
			}
			continue
		case *expr.Meta:
			switch fields[e.Register] = unknown; e.Key {
			case expr.MetaKeyL4PROTO:
				fields[e.Register] = protocol
			case expr.MetaKeyIIF, expr.MetaKeyIIFNAME:
				fields[e.Register] = link
			case expr.MetaKeyNFPROTO, expr.MetaKeyPROTOCOL:
				fields[e.Register] = other
			}
		case *expr.Payload:
			fields[e.DestRegister] = unknown
			switch transport := e.Base == expr.PayloadBaseTransportHeader; {
			case transport && e.Offset == 2 && e.Len == 2:
				fields[e.DestRegister] = port
			case transport && e.Offset == 13 && e.Len == 1:
				fields[e.DestRegister], value = exact, []byte{tcpFlags}
			case e.Base == expr.PayloadBaseNetworkHeader && e.Len == 1 && (e.Offset == 6 || e.Offset == 9):
				fields[e.DestRegister] = protocol
			}
		case *expr.Ct:
			fields[e.Register] = unknown
			if e.Key == expr.CtKeySTATE {
				fields[e.Register] = exact
				value = binaryutil.NativeEndian.PutUint32(expr.CtStateBitNEW)
			}
		case *expr.Bitwise:
			fields[e.DestRegister] = fields[e.SourceRegister]
			for i := range min(len(value), len(e.Mask), len(e.Xor)) {
				value[i] = value[i]&e.Mask[i] ^ e.Xor[i]
			}
		case *expr.Lookup:
			for _, f := range fields { // of all that are looked up together
				if e.IsDestRegSet || f == unknown || f == exact || f == port && !e.Invert {
					return nil, false
				}
			}
			clear(fields)
		case *expr.Cmp:
			f := fields[e.Register]
			delete(fields, e.Register)
			if e.Op != expr.CmpOpEq && e.Op != expr.CmpOpNeq || !meets(f, e, value, links) {
				return nil, false
			}
		default:
			return nil, false
		}
		all = false
	}
	return nil, false
}

// meets reports whether some probe passes a comparison.
func meets(f field, e *expr.Cmp, value []byte, links []net.Interface) bool {
	equal := e.Op == expr.CmpOpEq
	switch f {
	case other:
		return true
	case protocol:
		return !equal || len(e.Data) == 1 && (e.Data[0] == unix.IPPROTO_TCP || e.Data[0] == unix.IPPROTO_UDP)
	case link:
		return slices.ContainsFunc(links, func(l net.Interface) bool {
			name := bytes.HasPrefix(append([]byte(l.Name), make([]byte, 16)...), e.Data)
			number := len(e.Data) == 4 && binary.NativeEndian.Uint32(e.Data) == uint32(l.Index)
			return (name || number) == equal
		})
	case port:
		return !equal
	case exact:
		return bytes.Equal(value, e.Data) == equal
	}
	return false
}
