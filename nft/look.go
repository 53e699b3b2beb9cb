// SPDX-License-Identifier: MIT

package nft

import (
	"bytes"
	"slices"
	"strings"

	"go4.org/netipx"

	"picket/nft/internal/elem"
)

// together is how many blocks one question is about: their answers are in the
// socket's buffer at the same time, three for a prefix.
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
	var starts [together][]byte
	n := 0
	for i := range list {
		b := &list[i]
		b.For = 0
		name, els, err := t.place(b)
		b.For = -1
		if err != nil {
			continue // no set can hold it
		}
		starts[i] = els[0].Key
		keys := [3][]byte{els[0].Key}
		if strings.Contains(name, "_nets") {
			// The same interval contains its last address and not the next one.
			keys[1] = netipx.PrefixLastIP(b.Source).AsSlice()
			if len(els) > 1 {
				keys[2] = els[1].Key
			}
		}
		for j, key := range keys {
			if key == nil {
				continue
			}
			if err := t.question.Put(uint32(4*i+j), name, key); err != nil {
				return err
			}
			n++
		}
	}
	return t.question.Ask(n, func(number uint32, e *elem.Element) {
		b := &list[number/4]
		same := e != nil && bytes.Equal(e.Key, starts[number/4])
		switch j := number % 4; {
		case j == 0 && same:
			b.For, b.Drops = e.Left, e.Packets
		case j > 0 && same != (j == 1):
			b.For = -1
		}
	})
}
