// SPDX-License-Identifier: MIT

package engine

import (
	"net/netip"
	"testing"

	"picket/internal/probe"
)

// One forger, or one owner of many addresses, leaves room for others. A stranger who comes when the
// book is full is booked.
func TestNobodyTakesAll(t *testing.T) {
	for name, who := range map[string]func(i int) netip.Addr{
		"a /48": func(i int) netip.Addr {
			return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 1, byte(i >> 8), byte(i), 15: 1})
		},
		"a /32": func(i int) netip.Addr {
			return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(i >> 8), byte(i), 15: 1})
		},
		"a /16": func(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}) },
		"anybody": func(i int) netip.Addr {
			return netip.AddrFrom4([4]byte{byte(20 + i), byte(i >> 8), 7,
				7})
		},
	} {
		for _, proven := range []bool{false, true} {
			c := graded()
			c.Blocks = 1000
			c.TCP.Trigger = [probe.Modes]int{}
			w := newWorld(t, c)
			kind, options := Fence, []option(nil)
			if proven {
				kind, options = Block, []option{mode(probe.Classic), is(probe.Connect)}
			}
			stranger := "203.0.113.9"
			w.send(append(options, from(stranger))...)
			in, instead := map[netip.Prefix]bool{}, 0
			for i := range 5000 {
				d := w.send(append(options, func(p *probe.Probe) { p.Source = who(i) })...)
				if d.Action != kind {
					w.spares(d, TooMany)
					continue
				}
				in[d.Source] = true
				if d.Instead.IsValid() {
					instead++
					delete(in, d.Instead)
				}
			}
			if name != "anybody" && !w.InForce(kind, netip.MustParseAddr(stranger), w.at.UnixNano()) {
				t.Errorf("%s, proven %v: a stranger had to go", name, proven)
			}
			if n := w.Engine.blocks.by[kind].Len(); n > c.Blocks || n-len(in) > 1 || n < len(in) ||
				proven && instead < 4000 {
				t.Errorf("%s, proven %v: %d in the book, %d by what was decided, %d made room", name, proven,
					n, len(in), instead)
			}
			if d := w.send(append(options, from("192.0.2.77"))...); d.Action != kind {
				t.Errorf("%s, proven %v: who comes then is not answered: %v", name, proven, d.Reason)
			}
		}
	}
}
