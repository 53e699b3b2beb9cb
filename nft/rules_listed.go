// SPDX-License-Identifier: MIT

package nft

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/google/nftables"

	"picket/nft/internal/fill"
)

// Lists of dropped sources fill one hash set for each prefix length. An interval set
// takes more memory, and slows down everybody who adds an element anywhere on the host:
// nft first reads every interval set of every table. A packet is looked up in all of
// them only if its area is in the set of areas.

// area is the prefix length of an area, by family; a wider prefix takes several.
var area = map[string]int{"4": 16, "6": 32}

// lengths are the prefix lengths with a set, by family. An IPv6 prefix between two of
// them takes up to eight elements of the next.
var lengths = map[string][]int{"4": upTo(8, 32, 1), "6": append(upTo(20, 64, 4), 128)}

func upTo(first, last, step int) (out []int) {
	for bits := first; bits <= last; bits += step {
		out = append(out, bits)
	}
	return out
}

func listedSet(family string, bits int) string { return "listed" + family + "_" + strconv.Itoa(bits) }

// listedChains drop the sources of the operator's lists.
func listedChains(Config) []chain {
	all := []chain{{
		name: "unwelcome",
		why:  "sources of lists that are dropped: the same happens to them as to blocked ones",
		rules: list(
			one(jump("vital")),
			friends(),
			addresses("operators", in("login_ports", tcpDport), accept),
			one(count("kept_listed"), drop),
		),
	}}
	for _, f := range []struct {
		family string
		of     field
	}{{"4", saddr4}, {"6", saddr6}} {
		c := chain{name: "listed" + f.family}
		for _, bits := range lengths[f.family] {
			listed := in(listedSet(f.family, bits), prefixOf(f.of, bits))
			c.rules = append(c.rules, on(listed, goTo("unwelcome")))
		}
		all = append(all, c)
	}
	return all
}

func listedSets() (all []set) {
	for family, key := range map[string]nftables.SetDatatype{"4": address4, "6": address6} {
		all = append(all, set{name: "areas" + family, key: key})
		for _, bits := range lengths[family] {
			all = append(all, set{name: listedSet(family, bits), key: key})
		}
	}
	slices.SortFunc(all, func(a, b set) int {
		return cmp.Or(len(a.name)-len(b.name), cmp.Compare(a.name, b.name))
	})
	return all
}

// Listable says why a prefix cannot stand in a list that is dropped, "" if it can.
func Listable(p netip.Prefix) string {
	family := familyOf(p.Addr())
	of := lengths[family]
	switch least := of[0]; {
	case p.Bits() < least:
		return fmt.Sprintf("is wider than what a list may drop, /%d", least)
	case family == "6" && p.Bits() > 64 && p.Bits() < 128:
		return "is between a /64 and an address: a list may drop either"
	}
	return ""
}

// queueListed replaces the contents of the sets of lists, unless they are the same:
// a new address of the host must not reload 200,000 prefixes.
func (t *Table) queueListed(ps []netip.Prefix) error {
	if t.loaded && slices.Equal(t.listed, ps) {
		return nil
	}
	t.loaded = false // unless all goes well
	for _, s := range listedSets() {
		t.conn.FlushSet(t.sets[s.name])
	}
	q := fill.Messages{Send: func(set string, els []nftables.SetElement) error {
		return t.conn.SetAddElements(t.sets[set], els)
	}}
	areas := map[netip.Prefix]bool{}
	for _, p := range ps {
		if p = p.Masked(); p.IsValid() && Listable(p) == "" {
			enlist(p, areas, q.Add)
		}
	}
	return q.Flush()
}

// enlist adds a prefix, and the areas that it touches.
func enlist(p netip.Prefix, areas map[netip.Prefix]bool, add func(set string, a netip.Addr)) {
	family := familyOf(p.Addr())
	of := lengths[family]
	i, _ := slices.BinarySearch(of, p.Bits())
	fill.Subnets(p, of[i], func(q netip.Prefix) { add(listedSet(family, of[i]), q.Addr()) })
	around := netip.PrefixFrom(p.Addr(), min(p.Bits(), area[family])).Masked()
	fill.Subnets(around, area[family], func(q netip.Prefix) {
		if !areas[q] {
			areas[q] = true
			add("areas"+family, q.Addr())
		}
	})
}
