// SPDX-License-Identifier: MIT

package nft

import (
	"net/netip"
	"slices"

	"go4.org/netipx"

	"picket/nft/internal/elem"
)

// together is how many blocks one question is about: their answers are in the
// socket's buffer at the same time, two for a prefix.
const together = 16

// Look asks the kernel for each block of a list, and sets For to the time left and
// Drops to its counter. For is negative if the kernel has no such block. Spare is set
// to what the kernel has for the source.
func (t *Table) Look(list []Block) error {
	for part := range slices.Chunk(list, together) {
		err := t.look(part)
		for i := range part {
			if b := &part[i]; err == nil && b.For < 0 && b.Response == Blocked && t.alone(b.Source) {
				b.Spare = !b.Spare
				if err = t.look(part[i : i+1]); b.For < 0 {
					b.Spare = !b.Spare
				}
			}
		}
		if err != nil {
			return explain("look for "+names(part), err)
		}
	}
	return nil
}

func (t *Table) look(list []Block) error {
	var key [16]byte
	n := 0
	for i := range list {
		b := &list[i]
		b.For = -1
		name, whole, err := t.where(b)
		if err != nil {
			continue // no set can hold it
		}
		addresses := [2]netip.Addr{b.Source.Masked().Addr()}
		if !whole {
			// The interval that contains its last address and not the next one.
			addresses[0] = netipx.PrefixLastIP(b.Source)
			addresses[1] = addresses[0].Next()
		}
		for j, a := range addresses {
			if !a.IsValid() {
				continue
			}
			k, _ := a.AppendBinary(key[:0]) // it never fails
			if err := t.question.Put(uint32(2*i+j), name, k); err != nil {
				return err
			}
			n++
		}
	}
	return t.question.Ask(n, func(number uint32, e *elem.Element) {
		b := &list[number/2]
		if e == nil {
			return
		}
		switch start, ok := netip.AddrFromSlice(e.Key); {
		case !ok || start != b.Source.Masked().Addr():
		case number%2 == 0:
			b.For, b.Drops = e.Left, e.Packets
		default:
			b.For = -1 // it is wider
		}
	})
}
