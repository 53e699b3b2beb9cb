// SPDX-License-Identifier: MIT

package transit

import (
	"bytes"
	"testing"
)

// Bytes are there, cut to what a slot takes, until as many others were put as there
// are slots; a transit without slots has none.
func TestTransit(t *testing.T) {
	x := New(3, 4)
	var places []Place
	put := func(b ...byte) {
		places = append(places, x.Put(b))
		x.Sent()
	}
	put(1)
	put(2, 2, 2, 2, 2)
	put()
	for i, want := range [][]byte{{1}, {2, 2, 2, 2}, nil} {
		if got := x.Get(places[i]); !bytes.Equal(got, want) {
			t.Errorf("%d: %v, want %v", i, got, want)
		}
	}
	x.Put([]byte{3, 3}) // and not sent: the next takes its slot
	if again := x.Put([]byte{4, 4}); !bytes.Equal(x.Get(again), []byte{4, 4}) ||
		again.slot != places[0].slot {
		t.Errorf("%+v: %v", again, x.Get(again))
	}
	var none Transit
	if p := none.Put([]byte{1}); none.Get(p) != nil {
		t.Error("bytes without slots")
	}
	if n := testing.AllocsPerRun(100, func() { x.Put([]byte{1, 2}); x.Sent() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
