// SPDX-License-Identifier: MIT

package crowd

import (
	"testing"
	"unsafe"
)

// TestSizes: docs/patterns.md names these.
func TestSizes(t *testing.T) {
	for _, x := range []struct {
		name     string
		is, want uintptr
	}{
		{"a sending", unsafe.Sizeof(sending{}), 32}, {"all", unsafe.Sizeof(Decoys{}), 16 << 10},
		{"a cluster", unsafe.Sizeof(cluster{}), 104}, {"all", unsafe.Sizeof(Clusters{}), 6656},
		{"an answerer", unsafe.Sizeof(answerer{}), 32}, {"all", unsafe.Sizeof(Answers{}), 8 << 10},
		{"a victim", unsafe.Sizeof(victim{}), 32}, {"all", unsafe.Sizeof(Victims{}), 4 << 10},
		{"a surge", unsafe.Sizeof(Surge{}), 24},
	} {
		if x.is != x.want {
			t.Errorf("%s: %d bytes, want %d", x.name, x.is, x.want)
		}
	}
}
