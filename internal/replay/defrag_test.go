// SPDX-License-Identifier: MIT

package replay

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

// TestFragments splits one SYN with 24 bytes of options and data in many ways.
func TestFragments(t *testing.T) {
	segment := tcp(them, us, 5, 23, syn)[20:]
	segment = append(segment, "payload that makes it longer"...)
	eight := func(id uint16) (list [][]byte) {
		for o := 0; o < len(segment); o += 8 {
			list = append(list, fragment4(them, us, id, segment, o, 8))
		}
		return list
	}
	inOrder := eight(1)
	const n = 6
	reversed := slices.Clone(inOrder)
	slices.Reverse(reversed)
	other := eight(2)
	var mixed [][]byte
	for i := range inOrder {
		mixed = append(mixed, inOrder[i], other[i])
	}
	pieces := "fragment, fragment, fragment, fragment, fragment"
	overlap := slices.Concat(inOrder[:1], [][]byte{fragment4(them, us, 1, segment, 0, 16)}, inOrder[1:])
	early := fragment4(them, us, 1, segment[:24], 16, 8) // as if these were the last bytes
	tests := []struct {
		name string
		list [][]byte
		gap  int64 // milliseconds between two
		want string
	}{
		{"in order", inOrder, 1, pieces + ", advanced syn 23"},
		{"the last first", reversed, 1, pieces + ", advanced syn 23"},
		{"two at once", mixed, 1, pieces + ", " + pieces + ", advanced syn 23, advanced syn 23"},
		{"one missing", inOrder[1:], 1, pieces},
		{"one twice", slices.Concat(inOrder[:1], inOrder), 1, "fragment, " + pieces + ", advanced syn 23"},
		{"overlapping", overlap, 1, pieces + ", fragment, fragment"},
		{"one behind the end", [][]byte{inOrder[0], early, inOrder[4]}, 1, "fragment, fragment, fragment"},
		{"an end before one", [][]byte{inOrder[0], inOrder[4], early}, 1, "fragment, fragment, fragment"},
		{"two ends", [][]byte{inOrder[5], early, inOrder[0]}, 1, "fragment, fragment, fragment"},
		{"too slow", inOrder, 61_000, pieces + ", fragment"},
		{"of a length that cannot be", [][]byte{fragment4(them, us, 1, segment, 0, 12)}, 1, "fragment"},
	}
	if len(inOrder) != n {
		t.Fatalf("%d pieces", len(inOrder))
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var list []sent
			for i, b := range tt.list {
				list = append(list, sent{int64(i) * tt.gap, b})
			}
			got, _, err := verdicts(t, Rules{}, Memory(tt.name, pcap(linkRaw, list...)))
			if g := strings.Join(got, ", "); g != tt.want || err != nil {
				t.Errorf("%v\n got %s\nwant %s", err, g, tt.want)
			}
		})
	}
}

// TestFragmentsWhole: what comes out is the packet that went in.
func TestFragmentsWhole(t *testing.T) {
	want := tcp(them, us, 5, 23, syn)
	var got []byte
	d := newDefragmenter()
	for o := 0; o < 20; o += 8 {
		got = feed(t, d, fragment4(them, us, 9, want[20:], o, 8))
	}
	if !bytes.Equal(want, got) {
		t.Errorf("IPv4:\n got %x\nwant %x", got, want)
	}
	want = tcp("2001:db8:1::7", "2001:db8::1", 5, 23, syn)
	for o := 0; o < 20; o += 8 {
		part := want[40+o : min(60, 48+o)]
		word := uint16(o)
		if o < 16 {
			word |= 1
		}
		head := binary.BigEndian.AppendUint16([]byte{6, 0}, word)
		got = feed(t, d, ip("2001:db8:1::7", "2001:db8::1", 44, append(append(head, 0, 0, 0, 9), part...)))
	}
	if !bytes.Equal(want, got) {
		t.Errorf("IPv6:\n got %x\nwant %x", got, want)
	}
}

// TestFragmentFlood: datagrams that never end push the oldest out, and take no more room.
func TestFragmentFlood(t *testing.T) {
	segment := tcp(them, us, 5, 23, syn)[20:]
	d := newDefragmenter()
	feed(t, d, fragment4(them, us, 0, segment, 0, 8))
	for id := range uint16(10 * maxDatagrams) {
		feed(t, d, fragment4(them, us, id+1, segment, 0, 8))
	}
	if len(d.index) != maxDatagrams {
		t.Errorf("%d datagrams are kept", len(d.index))
	}
	feed(t, d, fragment4(them, us, 0, segment, 8, 8))
	if b := feed(t, d, fragment4(them, us, 0, segment, 16, 8)); b != nil {
		t.Errorf("the oldest was still there: %x", b)
	}
}
