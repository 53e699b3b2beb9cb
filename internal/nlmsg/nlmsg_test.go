// SPDX-License-Identifier: MIT

package nlmsg

import "testing"

// FuzzWalk: with any lengths, all parts lie inside the datagram, and each walk ends.
func FuzzWalk(f *testing.F) {
	f.Add([]byte{20, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4})
	f.Add([]byte{8, 0, 1, 0, 0, 0, 0, 9, 6, 0, 10, 0, 1, 2, 0, 0})
	f.Add([]byte{20, 0, 4, 0, 1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		for _, body := range Messages(b) {
			n += len(body) + 16
		}
		if n > len(b) {
			t.Errorf("%d bytes of messages in %d", n, len(b))
		}
		n = 0
		for _, v := range Attributes(b) {
			n += len(v) + 4
		}
		if n > len(b) {
			t.Errorf("%d bytes of attributes in %d", n, len(b))
		}
	})
}
