// SPDX-License-Identifier: MIT

package nft

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkReadBack reads 100,000 blocks.
func BenchmarkReadBack(b *testing.B) {
	runtime.LockOSThread() // never unlocked: the namespace ends with the thread
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		b.Fatal(err)
	}
	tab, err := Open(testConfig)
	if err != nil {
		b.Fatal(err)
	}
	defer tab.Close()
	if _, err := tab.Install(testElements()); err != nil {
		b.Fatal(err)
	}
	const n = 100_000
	var list []Block
	for i := range n {
		a := netip.AddrFrom4([4]byte{198, 18 + byte(i>>16), byte(i >> 8), byte(i)})
		list = append(list, Block{Source: netip.PrefixFrom(a, 32), For: time.Hour})
		if len(list) == 5000 {
			if err := tab.Block(list, never); err != nil {
				b.Fatal(err)
			}
			list = list[:0]
		}
	}
	for b.Loop() {
		if got, err := tab.Blocks(); err != nil || len(got) != n {
			b.Fatalf("%d blocks, %v", len(got), err)
		}
	}
}
