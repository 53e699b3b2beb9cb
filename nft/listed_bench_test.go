// SPDX-License-Identifier: MIT

package nft

import (
	"net/netip"
	"testing"

	"picket/internal/netns/netnstest"
)

// BenchmarkListed loads lists of 200,000 prefixes, as one transaction.
func BenchmarkListed(b *testing.B) {
	netnstest.Enter(b)
	tab, err := Open(testConfig)
	if err != nil {
		b.Fatal(err)
	}
	defer tab.Close()
	var list []netip.Prefix
	for i := range 200_000 {
		a := netip.AddrFrom4([4]byte{1 + byte(i>>12), byte(i >> 4), byte(i << 4), 0})
		list = append(list, netip.PrefixFrom(a, 20+i%5).Masked())
	}
	e := testElements()
	if _, err := tab.Install(e); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		tab.loaded, e.Listed = false, list
		if err := tab.Fill(e); err != nil {
			b.Fatal(err)
		}
	}
}
