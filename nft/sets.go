// SPDX-License-Identifier: MIT

package nft

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"go4.org/netipx"
)

// Sizes of the sets that the network fills. A dynamic set without a size stops
// at 65,535 in silence.
const (
	sizeBlocked = 1 << 18
	sizeNets    = 1 << 16
	sizeHeld    = 1 << 16
	sizeTalkers = 1 << 17
	sizeRepeats = 1 << 16
	sizePeers   = 1 << 16
)

// HoldTime is how long the kernel holds a source that nobody judges.
const HoldTime = 5 * time.Second

// PeerTime is how long the kernel remembers that a source had a connection
// with this host, from its first packet or the next one after that.
const PeerTime = 10 * time.Second

// A set of the table, in what both of its forms need.
type set struct {
	name     string
	key      nftables.SetDatatype
	value    *nftables.SetDatatype // of a map
	interval bool
	timeout  bool
	dynamic  bool
	counter  bool
	size     uint32
	expire   time.Duration // default timeout of an element
}

func sets() []set {
	v4, v6, port, protocol := nftables.TypeIPAddr, nftables.TypeIP6Addr, nftables.TypeInetService, nftables.TypeInetProto
	return []set{
		{name: "blocked4", key: v4, timeout: true, counter: true, size: sizeBlocked},
		{name: "blocked6", key: v6, timeout: true, counter: true, size: sizeBlocked},
		{name: "blocked_nets4", key: v4, interval: true, timeout: true, counter: true, size: sizeNets},
		{name: "blocked_nets6", key: v6, interval: true, timeout: true, counter: true, size: sizeNets},
		{name: "held4", key: v4, dynamic: true, timeout: true, size: sizeHeld, expire: HoldTime},
		{name: "held6", key: v6, dynamic: true, timeout: true, size: sizeHeld, expire: HoldTime},
		{name: "connected4", key: v4, dynamic: true, timeout: true, size: sizePeers, expire: PeerTime},
		{name: "connected6", key: v6, dynamic: true, timeout: true, size: sizePeers, expire: PeerTime},
		{name: "ignored4", key: v4, interval: true},
		{name: "ignored6", key: v6, interval: true},
		{name: "classic_tcp", key: port, interval: true},
		{name: "classic_udp", key: port, interval: true},
		{name: "stealth_tcp", key: port, interval: true},
		{name: "stealth_udp", key: port, interval: true},
		{name: "advanced_tcp", key: port, interval: true},
		{name: "advanced_udp", key: port, interval: true},
		{name: "excluded_tcp", key: port, interval: true},
		{name: "excluded_udp", key: port, interval: true},
		{name: "hot_tcp", key: port, interval: true},
		{name: "hot_udp", key: port, interval: true},
		{name: "advanced_ip", key: protocol, interval: true},
		{name: "repeats4", key: nftables.MustConcatSetType(v4, port), dynamic: true, timeout: true, size: sizeRepeats, expire: 10 * time.Second},
		{name: "repeats6", key: nftables.MustConcatSetType(v6, port), dynamic: true, timeout: true, size: sizeRepeats, expire: 10 * time.Second},
		{name: "talkers4", key: v4, dynamic: true, timeout: true, size: sizeTalkers, expire: time.Minute},
		{name: "talkers6", key: v6, dynamic: true, timeout: true, size: sizeTalkers, expire: time.Minute},
		{name: "trap_port", key: protocol, value: &port},
	}
}

// netlink returns the set as the library wants it.
func (s set) netlink(t *nftables.Table) *nftables.Set {
	n := &nftables.Set{
		Table: t, Name: s.name, KeyType: s.key, Interval: s.interval, HasTimeout: s.timeout, Timeout: s.expire,
		Dynamic: s.dynamic, Counter: s.counter, Size: s.size, KeyByteOrder: binaryutil.BigEndian,
	}
	if s.value != nil {
		n.IsMap, n.DataType = true, *s.value
	}
	return n
}

// text returns the set as nft reads it.
func (s set) text() string {
	var b strings.Builder
	kind, typ := "set", s.key.Name
	if s.value != nil {
		kind, typ = "map", s.key.Name+" : "+s.value.Name
	}
	fmt.Fprintf(&b, "\t%s %s {\n\t\ttype %s\n", kind, s.name, typ)
	if s.size > 0 {
		fmt.Fprintf(&b, "\t\tsize %d\n", s.size)
	}
	var flags []string
	for _, f := range []struct {
		on   bool
		name string
	}{{s.dynamic, "dynamic"}, {s.interval, "interval"}, {s.timeout, "timeout"}} {
		if f.on {
			flags = append(flags, f.name)
		}
	}
	if len(flags) > 0 {
		fmt.Fprintf(&b, "\t\tflags %s\n", strings.Join(flags, ","))
	}
	if s.counter {
		b.WriteString("\t\tcounter\n")
	}
	if s.expire > 0 {
		fmt.Fprintf(&b, "\t\ttimeout %ds\n", int(s.expire.Seconds()))
	}
	b.WriteString("\t}\n")
	return b.String()
}

// A Range is a closed range of ports, or of IP protocol numbers.
type Range struct{ From, To uint16 }

// Elements is what the configuration and the host put into the sets.
type Elements struct {
	ClassicTCP, ClassicUDP   []Range
	StealthTCP, StealthUDP   []Range
	AdvancedTCP, AdvancedUDP []Range
	ExcludedTCP, ExcludedUDP []Range // of the advanced range
	HotTCP, HotUDP           []Range // whose first probe holds its source
	AdvancedIP               []Range // IP protocol numbers, below 256
	Ignored                  []netip.Prefix
	TrapPort                 uint16 // where the trap listens; 0 for none
}

// elements returns the wanted elements of a set, and whether it is one that
// Elements speaks of.
func (e *Elements) elements(name string) (els []nftables.SetElement, ok bool) {
	ports := map[string][]Range{
		"classic_tcp": e.ClassicTCP, "classic_udp": e.ClassicUDP, "stealth_tcp": e.StealthTCP, "stealth_udp": e.StealthUDP,
		"advanced_tcp": e.AdvancedTCP, "advanced_udp": e.AdvancedUDP, "excluded_tcp": e.ExcludedTCP, "excluded_udp": e.ExcludedUDP,
		"hot_tcp": e.HotTCP, "hot_udp": e.HotUDP,
	}
	if r, ok := ports[name]; ok {
		return rangeElements(r, 2), true
	}
	switch name {
	case "advanced_ip":
		return rangeElements(e.AdvancedIP, 1), true
	case "ignored4":
		return prefixElements(e.Ignored, false), true
	case "ignored6":
		return prefixElements(e.Ignored, true), true
	case "trap_port":
		if e.TrapPort != 0 {
			els = []nftables.SetElement{{Key: []byte{6}, Val: binaryutil.BigEndian.PutUint16(e.TrapPort)}}
		}
		return els, true
	}
	return nil, false
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

// rangeElements returns the interval elements of keys that are width bytes
// wide: a start and, one above the last, an end. What reaches the highest key
// has no end.
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

// prefixElements returns the interval elements of the prefixes of one family,
// with as few intervals as they can have.
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
