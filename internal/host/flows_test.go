// SPDX-License-Identifier: MIT

package host

import (
	"net/netip"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// entry is a message of conntrack's, in the kernel's form.
func entry(t testing.TB, protocol uint8, status uint32, state uint8, answerer uint16) []byte {
	t.Helper()
	e := netlink.NewAttributeEncoder()
	tuple := func(from, to string, port uint16) func(*netlink.AttributeEncoder) error {
		return func(e *netlink.AttributeEncoder) error {
			e.Nested(1, func(e *netlink.AttributeEncoder) error {
				e.Bytes(1, netip.MustParseAddr(from).AsSlice())
				e.Bytes(2, netip.MustParseAddr(to).AsSlice())
				return nil
			})
			e.Nested(2, func(e *netlink.AttributeEncoder) error {
				e.Uint8(1, protocol)
				e.Bytes(2, []byte{byte(port >> 8), byte(port)})
				return nil
			})
			return nil
		}
	}
	e.Nested(1, tuple("203.0.113.9", "192.0.2.2", 40000))
	e.Nested(2, tuple("192.0.2.2", "203.0.113.9", answerer))
	e.Bytes(3, []byte{byte(status >> 24), byte(status >> 16), byte(status >> 8), byte(status)})
	if protocol == unix.IPPROTO_TCP {
		e.Nested(4, func(e *netlink.AttributeEncoder) error {
			e.Nested(1, func(e *netlink.AttributeEncoder) error { e.Uint8(1, state); return nil })
			return nil
		})
	}
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte{unix.AF_INET, 0, 0, 0}, b...)
}

// TestFlowLives: an open connection lives, and so does a UDP exchange that lasts. One
// that ends, was never completed, or goes to the trap does not.
func TestFlowLives(t *testing.T) {
	const seen, assured, offloaded = 1 << 1, 1 << 2, 1 << 14
	for _, x := range []struct {
		name     string
		protocol uint8
		status   uint32
		state    uint8
		answerer uint16
		lives    bool
	}{
		{"open", 6, seen | assured, 3, 22, true},
		{"half closed", 6, seen | assured, 5, 22, true},
		{"carried by a flowtable", 6, seen | assured | offloaded, 0, 22, true},
		{"ended", 6, seen | assured, 7, 22, false},
		{"a SYN", 6, 0, 1, 22, false},
		{"to the trap", 6, seen | assured, 3, 61003, false},
		{"UDP that lasts", 17, seen | assured, 0, 51820, true},
		{"one answer by UDP", 17, seen, 0, 53, false},
	} {
		b := entry(t, x.protocol, x.status, x.state, x.answerer)
		f, ok := readFlow(b)
		if !ok || f.from.String() != "203.0.113.9" || f.to.String() != "192.0.2.2" ||
			f.lives(61003) != x.lives {
			t.Errorf("%s: %+v, %v, lives %v", x.name, f, ok, f.lives(61003))
		}
		for n := range b {
			readFlow(b[:n]) // a cut message must not panic
		}
	}
}
