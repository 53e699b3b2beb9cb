// SPDX-License-Identifier: MIT

package nft

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"go4.org/netipx"
	"golang.org/x/sys/unix"
)

// A Range is a closed range of ports, or of IP protocol numbers.
type Range struct{ From, To uint16 }

// A Trigger is a range of ports and how many of them, 0 to [MaxTrigger], a source may
// probe before the kernel holds it. Ports in no range hold nobody.
type Trigger struct {
	Range
	Ports int
}

// Elements is what the configuration and the host put into the sets.
type Elements struct {
	ClassicTCP, ClassicUDP   []Range
	StealthTCP, StealthUDP   []Range
	AdvancedTCP, AdvancedUDP []Range
	ExcludedTCP, ExcludedUDP []Range   // of the advanced range; never dark
	AdvancedIP               []Range   // IP protocol numbers, below 256
	TriggerTCP, TriggerUDP   []Trigger // SCTP goes with TCP
	TriggerIP                []Trigger // of IP protocol numbers
	DoorTCP                  []Range   // served ports that refuse raw SYNs
	Ignored                  []netip.Prefix
	Known                    []netip.Prefix // of the operator's lists: reported or counted, not blocked
	Listed                   []netip.Prefix // to be dropped, see [Listable]; must not change later
	Links                    []netip.Prefix // the host's IPv6 links: each address there is a source
	Elsewhere                []netip.Prefix // addresses of this host that others serve (IPVS)
	Behind                   []netip.Prefix // networks behind this host that are judged
	Published                bool           // judge ports published by address translation too
	Egress                   bool           // mirror packets that begin connections from Behind
	Operators                []netip.Addr   // of people logged in, never fenced
	LoginPorts               []uint16       // open to them even when blocked
	Trusted                  []string       // interfaces
	Inline                   bool           // a SYN to a served port may have to wait for a verdict
	TrapPort                 uint16         // where the trap listens; 0 for none
	Invite                   bool           // lead suspicious sources there from any unserved port
}

// elements returns the wanted elements of a set; ok is false for a set that the
// configuration does not fill.
func (e *Elements) elements(name string) (els []nftables.SetElement, ok bool) {
	ports := map[string][]Range{
		"classic_tcp": e.ClassicTCP, "classic_udp": e.ClassicUDP,
		"stealth_tcp": e.StealthTCP, "stealth_udp": e.StealthUDP,
		"advanced_tcp": e.AdvancedTCP, "advanced_udp": e.AdvancedUDP,
		"excluded_tcp": e.ExcludedTCP, "excluded_udp": e.ExcludedUDP,
		"guarded_tcp": ranges(e.TriggerTCP), "guarded_udp": ranges(e.TriggerUDP), "door_tcp": e.DoorTCP,
	}
	prefixes := map[string][]netip.Prefix{
		"ignored4": e.Ignored, "ignored6": e.Ignored, "links6": e.Links,
		"elsewhere4": e.Elsewhere, "elsewhere6": e.Elsewhere, "behind4": e.Behind, "behind6": e.Behind,
		"known4": e.Known, "known6": e.Known,
	}
	if r, ok := ports[name]; ok {
		return rangeElements(r, 2), true
	}
	if p, ok := prefixes[name]; ok {
		return prefixElements(p, strings.HasSuffix(name, "6")), true
	}
	switch name {
	case "advanced_ip":
		return rangeElements(e.AdvancedIP, 1), true
	case "operators4", "operators6":
		return addressElements(e.Operators, name == "operators6"), true
	case "inline":
		if e.Inline {
			els = []nftables.SetElement{{Key: []byte{unix.IPPROTO_TCP}}}
		}
		return els, true
	case "login_ports":
		return portElements(e.LoginPorts), true
	case "trusted":
		for _, n := range e.Trusted {
			key := append([]byte(n), make([]byte, unix.IFNAMSIZ-len(n))...)
			els = append(els, nftables.SetElement{Key: key})
		}
		return els, true
	case "trap_listener":
		return portElements(nonzero(e.TrapPort)), true
	case "inviting":
		if e.Invite && e.TrapPort != 0 {
			els = []nftables.SetElement{{Key: []byte{unix.IPPROTO_TCP}}}
		}
		return els, true
	case "trap_port":
		if e.TrapPort != 0 {
			els = []nftables.SetElement{{Key: []byte{unix.IPPROTO_TCP}, Val: be16(e.TrapPort)}}
		}
		return els, true
	case "trigger_tcp":
		return triggerElements(e.TriggerTCP, "ports", 2), true
	case "trigger_udp":
		return triggerElements(e.TriggerUDP, "ports", 2), true
	case "trigger_behind_tcp":
		return triggerElements(e.behind(e.TriggerTCP), "ports", 2), true
	case "trigger_behind_udp":
		return triggerElements(e.behind(e.TriggerUDP), "ports", 2), true
	case "published":
		return protocolElements(e.Published, unix.IPPROTO_TCP, unix.IPPROTO_UDP), true
	case "egress":
		return protocolElements(e.Egress, unix.IPPROTO_TCP), true
	case "trigger_ip":
		return triggerElements(e.TriggerIP, "others", 1), true
	}
	return nil, false
}

// triggers returns the triggers in use, each once.
func (e *Elements) triggers() (out []uint32) {
	for _, t := range slices.Concat(e.TriggerTCP, e.TriggerUDP) {
		out = append(out, uint32(min(t.Ports, MaxTrigger)))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func nonzero(n uint16) []uint16 {
	if n == 0 {
		return nil
	}
	return []uint16{n}
}

func portElements(ports []uint16) (els []nftables.SetElement) {
	for _, p := range ports {
		els = append(els, nftables.SetElement{Key: be16(p)})
	}
	return els
}

func addressElements(as []netip.Addr, v6 bool) (els []nftables.SetElement) {
	for _, a := range as {
		if a.Is6() == v6 {
			els = append(els, nftables.SetElement{Key: a.AsSlice()})
		}
	}
	return els
}

// ranges are the ranges of triggers.
func ranges(ts []Trigger) (out []Range) {
	for _, t := range ts {
		out = append(out, t.Range)
	}
	return out
}

// triggerElements returns the elements of a map from ports, or protocols, to the
// chain that counts for their trigger. The ranges must not overlap.
func triggerElements(ts []Trigger, what string, width int) (els []nftables.SetElement) {
	for _, t := range ts {
		key := rangeElements([]Range{t.Range}, width)
		chain := countChain(what, min(t.Ports, MaxTrigger))
		key[0].VerdictData = &expr.Verdict{Kind: expr.VerdictGoto, Chain: chain}
		els = append(els, key...)
	}
	return els
}

// leastBehind is the lowest trigger behind this host: a source may be the first to ask
// for a service, before the rules have learned it.
const leastBehind = 10

// behind returns the triggers for the networks behind this host.
func (e *Elements) behind(ts []Trigger) (out []Trigger) {
	for _, t := range ts {
		if len(e.Behind) > 0 {
			out = append(out, Trigger{t.Range, max(t.Ports, leastBehind)})
		}
	}
	return out
}

func protocolElements(on bool, protocols ...byte) (els []nftables.SetElement) {
	for _, p := range protocols {
		if on {
			els = append(els, nftables.SetElement{Key: []byte{p}})
		}
	}
	return els
}

// Merge sorts ranges and joins those that overlap or touch.
func Merge(rs []Range) []Range {
	rs = slices.Clone(rs)
	slices.SortFunc(rs, func(a, b Range) int { return int(a.From) - int(b.From) })
	var out []Range
	for _, r := range rs {
		if n := len(out); n > 0 && int(r.From) <= int(out[n-1].To)+1 {
			out[n-1].To = max(out[n-1].To, r.To)
			continue
		}
		out = append(out, r)
	}
	return out
}

// rangeElements returns the interval elements of keys of width bytes: a start and,
// one above the last key, an end. A range up to the highest key has no end.
func rangeElements(rs []Range, width int) (els []nftables.SetElement) {
	key := func(n uint16) []byte {
		if width == 1 {
			return []byte{byte(n)}
		}
		return binaryutil.BigEndian.PutUint16(n)
	}
	highest := uint16(1<<(8*width) - 1)
	for _, r := range Merge(rs) {
		els = append(els, nftables.SetElement{Key: key(r.From)})
		if r.To < highest {
			els = append(els, nftables.SetElement{Key: key(r.To + 1), IntervalEnd: true})
		}
	}
	return els
}

// prefixElements returns the interval elements of the prefixes of one family, in as
// few intervals as possible.
func prefixElements(ps []netip.Prefix, v6 bool) (els []nftables.SetElement) {
	var b netipx.IPSetBuilder
	for _, p := range ps {
		if p.IsValid() && p.Addr().Is6() == v6 {
			b.AddPrefix(p)
		}
	}
	set, _ := b.IPSet() // its errors are of invalid prefixes
	for _, r := range set.Ranges() {
		els = append(els, interval(r)...)
	}
	return els
}

// interval returns the elements of a range: its first address and the one behind
// its last, if there is one.
func interval(r netipx.IPRange) []nftables.SetElement {
	els := []nftables.SetElement{{Key: r.From().AsSlice()}}
	if end := r.To().Next(); end.IsValid() {
		els = append(els, nftables.SetElement{Key: end.AsSlice(), IntervalEnd: true})
	}
	return els
}
