// SPDX-License-Identifier: MIT

package engine

import (
	"bytes"
	"errors"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"testing/quick"
	"time"
	"unsafe"
)

// TestSourceRecord writes and reads records in which any bit may be set.
func TestSourceRecord(t *testing.T) {
	if n := unsafe.Sizeof(source{}); n != sourceLength {
		t.Errorf("a source has %d bytes, its record %d: is a field left out?", n, sourceLength)
	}
	same := func(raw [sourceLength]byte) bool {
		var s, back source
		copy((*[sourceLength]byte)(unsafe.Pointer(&s))[:], raw[:])
		b := s.append(nil)
		back.read(b)
		return len(b) == sourceLength && s == back
	}
	if err := quick.Check(same, nil); err != nil {
		t.Error(err)
	}
}

// TestTraceRecord does the same to traces.
func TestTraceRecord(t *testing.T) {
	same := func(raw [traceLength]byte) bool {
		var x, back trace
		copy((*[traceLength]byte)(unsafe.Pointer(&x))[:], raw[:])
		b := x.append(nil)
		back.read(b)
		return len(b) == traceLength && x == back
	}
	if err := quick.Check(same, nil); err != nil {
		t.Error(err)
	}
}

// TestSlowScanThroughARestart: what was pieced together goes on where it was,
// the traces of forgotten sources included, and whatever the clocks of the two
// engines had been through.
func TestSlowScanThroughARestart(t *testing.T) {
	c := careful()
	c.Sources = 64
	w := newWorld(t, c)
	w.wait(2 * time.Hour)
	w.send()
	w.wait(-2 * time.Hour) // the clock was set: this engine's time is two hours ahead
	forged := uint32(0)
	for i := range 17 {
		w.send(from("203.0.113.9"), port(1+2*i))
		d := w.send(from("203.0.113.9"), port(2+2*i))
		if d.Action == Block {
			if i < 7 || d.Reason != AboveSlow {
				t.Errorf("%q at port %d", d.Reason, 2+2*i)
			}
			return
		}
		for range 200 {
			forged++
			w.send(func(p *Probe) { p.Source = addr4(forged) })
		}
		next, err := New(c, uint64(i))
		if err != nil {
			t.Fatal(err)
		}
		if err := next.Recall(w.Remember(nil)); err != nil {
			t.Fatal(err)
		}
		w.Engine = next
		w.wait(20 * time.Minute)
	}
	t.Error("not found")
}

// TestMemory has a second engine recall what a first one knew: it decides what
// the first would have.
func TestMemory(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	probe := func(i int) Probe {
		return Probe{
			At: int64(i) * 1e8, Source: netip.AddrFrom4([4]byte{198, 51, 100, byte(random.Uint32())}),
			Destination: netip.MustParseAddr("192.0.2.1"), Protocol: ProtocolTCP, Mode: Advanced, Technique: SYN,
			Port: uint16(random.UintN(1000)), SourcePort: 40000, Seq: random.Uint32(),
		}
	}
	cfg := Config{Style: BlockOnly, Sources: 256, TCP: Policy{Action: Block, Trigger: [Modes]int{Advanced: 5}}}
	first, err := New(cfg, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3000 {
		first.Observe(probe(i))
	}
	memory := first.Remember(nil)
	second, err := New(cfg, 2) // nobody is forgotten, so the seed does not matter
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Recall(memory); err != nil {
		t.Fatal(err)
	}
	// The order of sources is that of their places.
	ordered := func(b []byte) []byte {
		sources, rest, err := cut(b[headerLength:], sourceLength)
		if err != nil {
			t.Fatal(err)
		}
		list := slices.SortedFunc(slices.Chunk(sources, sourceLength), bytes.Compare)
		return slices.Concat(b[:headerLength], bytes.Join(list, nil), rest)
	}
	if again := second.Remember(nil); !bytes.Equal(ordered(again), ordered(memory)) {
		t.Error("what is remembered of a recalled memory is another")
	}
	for kind, by := range first.blocks.by { // the kernel's, not the memory's
		maps.Copy(second.blocks.by[kind], by)
	}
	blocked := 0
	for i := 3000; i < 6000; i++ {
		p := probe(i)
		one, two := first.Observe(p), second.Observe(p)
		// What many sources did together in the last minutes is forgotten,
		// and so is how much of it was told.
		for _, d := range []*Decision{&one, &two} {
			d.Tell, d.NewPattern, d.Pattern, d.Sources, d.Shared = false, false, NoPattern, 0, 0
		}
		if one != two {
			t.Fatalf("probe %d: %+v and %+v", i, one, two)
		}
		if one.Action == Block {
			blocked++
		}
	}
	if blocked == 0 {
		t.Error("nothing was blocked, so nothing was compared")
	}
	small, err := New(Config{Sources: 16}, 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := small.Recall(memory); err != nil || small.Stats().Sources != 16 {
		t.Errorf("%d sources, %v", small.Stats().Sources, err)
	}
}

// FuzzRecall recalls any bytes: no panic, and nothing of a memory that is none.
func FuzzRecall(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0})
	f.Add((&source{key: key{1, 2}, used: 3}).append([]byte{1, 0, 0, 0}))
	f.Add(append((&source{key: key{1, 2}, used: 200}).append([]byte{1, 0, 0, 0}), 0, 0, 0, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := New(Config{Sources: 16}, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Recall(b); err != nil {
			if !errors.Is(err, ErrMemory) || e.Stats().Sources > 0 || len(e.blocks.offenders) > 0 {
				t.Errorf("%v, with %d sources", err, e.Stats().Sources)
			}
			return
		}
		for i := range 64 {
			e.Observe(Probe{At: int64(i), Source: netip.AddrFrom4([4]byte{byte(i)}), Port: uint16(i), Protocol: ProtocolTCP, Mode: Advanced})
		}
	})
}
