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

// Look asks the kernel for the blocks of a list one by one, and puts what is left
// of each into For and its counter into Drops. For is negative for what the kernel
// has not. Where a block is not, but a spared one of the same source is, or the
// other way round, Spare tells.
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
			continue // what has no place stands in none
		}
		starts[i] = els[0].Key
		keys := [3][]byte{els[0].Key}
		if strings.Contains(name, "_nets") {
			// The same interval has its last address and has not the next one.
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
