// SPDX-License-Identifier: MIT

package elem

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"
)

// Everything that a list returns is within its datagram, whatever its lengths say.
func FuzzListed(f *testing.F) {
	m, err := request("picket", "blocked4", 4)
	if err != nil {
		f.Fatal(err)
	}
	m[4], m[5] = unix.NFT_MSG_NEWSETELEM, unix.NFNL_SUBSYS_NFTABLES
	f.Add(m)
	f.Add(append(bytes.Clone(m), 16, 0, 0, 0, unix.NLMSG_DONE, 0, 0, 0))
	f.Add(m[:len(m)-2])
	f.Fuzz(func(t *testing.T, datagram []byte) {
		n := 0
		_, _ = listed(datagram, new(Element), func(e *Element) error {
			n += len(e.Key)
			if !bytes.Contains(datagram, e.Key) {
				t.Errorf("the key % x is not in the datagram", e.Key)
			}
			return nil
		})
		if n > len(datagram) {
			t.Errorf("%d bytes of keys in %d", n, len(datagram))
		}
	})
}

// The message that asks for an element reads as a list with that element.
func TestListed(t *testing.T) {
	m, err := request("picket", "blocked4", 4)
	if err != nil {
		t.Fatal(err)
	}
	m[4], m[5] = unix.NFT_MSG_NEWSETELEM, unix.NFNL_SUBSYS_NFTABLES
	copy(m[len(m)-4:], "\xcb\x00\x71\x09")
	var got []byte
	clone := func(e *Element) error { got = bytes.Clone(e.Key); return nil }
	if _, err := listed(m, new(Element), clone); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, []byte{203, 0, 113, 9}) {
		t.Errorf("the key is % x", got)
	}
	if _, err := listed(m[:len(m)-4], nil, nil); err == nil {
		t.Error("a datagram that ends within its message is none")
	}
}
