// SPDX-License-Identifier: MIT

package nft

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"picket/internal/netns/netnstest"
)

// BenchmarkReadBack reads 100,000 addresses, and 50,000 prefixes: all, and each by
// itself.
func BenchmarkReadBack(b *testing.B) {
	for _, c := range []struct {
		name    string
		n, bits int
		step    uint32
	}{{"addresses", 100_000, 32, 1}, {"prefixes", 50_000, 24, 256}} {
		b.Run(c.name+"/each", func(b *testing.B) {
			tab := filled(b, c.n, c.bits, c.step)
			for b.Loop() {
				got := 0
				if err := tab.Each(func(*Block) error { got++; return nil }); err != nil || got != c.n {
					b.Fatalf("%d blocks, %v", got, err)
				}
			}
		})
		b.Run(c.name+"/look", func(b *testing.B) {
			tab := filled(b, c.n, c.bits, c.step)
			list, err := tab.Blocks()
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if err := tab.Look(list); err != nil || list[c.n-1].For < 0 {
					b.Fatal(list[c.n-1], err)
				}
			}
		})
	}
}

// filled returns a table with n blocks in a namespace of its own.
func filled(b *testing.B, n, bits int, step uint32) *Table {
	netnstest.Enter(b)
	tab, err := Open(testConfig)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { tab.Close() })
	if _, err := tab.Install(testElements()); err != nil {
		b.Fatal(err)
	}
	list := make([]Block, n)
	for i := range list {
		a := netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, 11<<24+uint32(i)*step)))
		list[i] = Block{Source: netip.PrefixFrom(a, bits), For: time.Hour}
	}
	for part := range slices.Chunk(list, 5000) {
		if err := tab.Block(part, never); err != nil {
			b.Fatal(err)
		}
	}
	return tab
}
