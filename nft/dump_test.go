// SPDX-License-Identifier: MIT

package nft

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"picket/nft/internal/elem"
)

// Starts and ends make the same prefixes in either order of the kernel, with prefixes that
// touch and one that reaches the highest address.
func TestIntervals(t *testing.T) {
	type end struct {
		address string
		end     bool
	}
	up := []end{
		{"0.0.0.0", true}, {"192.0.2.0", false}, {"192.0.3.0", true}, {"198.51.100.0", false},
		{"198.51.101.0", true},
		{"198.51.101.0", false}, {"198.51.102.0", true}, {"224.0.0.0", false},
	}
	want := []string{"192.0.2.0/24", "198.51.100.0/24", "198.51.101.0/24", "224.0.0.0/3"}
	swapped := slices.Clone(up)
	swapped[4], swapped[5] = swapped[5], swapped[4]
	for _, order := range [][]end{up, swapped} {
		for range 2 {
			var got []string
			next := eachPrefix(new(Block), func(b *Block) error {
				got = append(got, b.Source.String())
				return nil
			})
			for _, e := range order {
				a := netip.MustParseAddr(e.address)
				if err := next(&elem.Element{Key: a.AsSlice(), End: e.end}); err != nil {
					t.Fatal(err)
				}
			}
			if err := next(nil); err != nil {
				t.Fatal(err)
			}
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Errorf("of %v came %v, want %v", order, got, want)
			}
			slices.Reverse(order)
		}
	}
}

// A list ends when its reader stops, and the next one is whole.
func TestEachIsCancelled(t *testing.T) {
	inNetns(t)
	tab := open(t)
	install(t, tab)
	var in []Block
	for i := range 2000 {
		a := netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)})
		in = append(in, Block{Source: netip.PrefixFrom(a, 32), For: time.Hour})
	}
	if err := tab.Block(in, never); err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	n := 0
	if err := tab.Each(func(*Block) error { n++; return enough }); !errors.Is(err, enough) || n != 1 {
		t.Errorf("after one it said %v, having listed %d", err, n)
	}
	if bs, err := tab.Blocks(); err != nil || len(bs) != len(in) {
		t.Errorf("then %d of %d, %v", len(bs), len(in), err)
	}
}

// Look finds each response, with the time left, and only exact matches.
func TestLook(t *testing.T) {
	inNetns(t)
	tab := open(t)
	install(t, tab)
	top := prefix("255.255.255.0/24")
	in := []Block{
		{Source: prefix("203.0.113.1/32"), For: time.Hour},
		{Source: prefix("198.51.100.0/24"), For: time.Hour},
		{Source: prefix("198.51.101.0/24"), For: time.Hour}, // they touch
		{Source: prefix("2001:db8:2::/64"), For: time.Hour},
		{Source: prefix("203.0.113.7/32"), Spare: true, For: time.Hour},
		{Response: Fenced, Source: prefix("2001:db8:3::/64"), For: time.Hour},
		{Response: Dark, Source: prefix("198.51.100.0/24"), For: time.Hour}, {Source: top, For: time.Hour},
	}
	if err := tab.Block(in, never); err != nil {
		t.Fatal(err)
	}
	asked := slices.Clone(in)
	if err := tab.Look(asked); err != nil {
		t.Fatal(err)
	}
	for i, b := range asked {
		if b.For.Round(time.Minute) != time.Hour || b.Spare != in[i].Spare {
			t.Errorf("%v is there as %v", in[i], b)
		}
	}
	absent := []Block{
		{Source: prefix("203.0.113.2/32")}, {Response: Dark, Source: prefix("203.0.113.1/32")},
		{Source: prefix("198.51.100.0/25")}, {Source: prefix("198.51.100.128/25")},
		{Source: prefix("198.51.100.0/23")},
		{Response: Fenced, Source: prefix("203.0.113.0/24")}, {Source: prefix("2001:db8:2::/63")},
		{Source: prefix("203.0.113.1/32")}, // the only one in the set
	}
	for range 20 {
		absent = append(absent, absent[:8]...)
	}
	if err := tab.Look(absent); err != nil {
		t.Fatal(err)
	}
	for i, b := range absent {
		if is := b.For >= 0; is != (i%8 == 7) {
			t.Errorf("%d, %v: in the kernel is %v", i, b, is)
		}
	}
}
