// SPDX-License-Identifier: MIT

package engine

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"testing/quick"
	"time"
	"unsafe"

	"picket/engine/internal/book"
	"picket/internal/probe"
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

// TestTraceRecord does the same with traces.
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

// TestSlowScanThroughARestart: a slow scan is pieced together across a restart, from traces of
// forgotten sources too, although the clock of the first engine was set.
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
			w.send(func(p *probe.Probe) { p.Source = addr4(forged) })
		}
		next, err := New(c, uint64(i))
		if err != nil {
			t.Fatal(err)
		}
		if err := recall(next, remember(w.Engine)); err != nil {
			t.Fatal(err)
		}
		w.Engine = next
		w.wait(20 * time.Minute)
	}
	t.Error("not found")
}

// TestMemory gives a second engine the memory of a first one. Both then decide alike.
func TestMemory(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	probeOf := func(i int) probe.Probe {
		return probe.Probe{
			At: int64(i) * 1e8, Source: netip.AddrFrom4([4]byte{198, 51, 100, byte(random.Uint32())}),
			Destination: netip.MustParseAddr("192.0.2.1"), Protocol: probe.ProtocolTCP, Mode: probe.Advanced,
			Technique: probe.SYN,
			Port:      uint16(random.UintN(1000)), SourcePort: 40000, Seq: random.Uint32(),
		}
	}
	cfg := Config{Style: BlockOnly, Sources: 256, TCP: Policy{Action: Block,
		Trigger: [probe.Modes]int{probe.Advanced: 5}}}
	first, err := New(cfg, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3000 {
		first.Observe(probeOf(i))
	}
	memory := remember(first)[0]
	second, err := New(cfg, 2) // nobody is forgotten, so the seed does not matter
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Recall(memory); err != nil {
		t.Fatal(err)
	}
	// Sources are saved in the order of their places in the table.
	ordered := func(b []byte) []byte {
		var list [][]byte
		for rest := b[headerLength:]; len(rest) > 0; {
			n := 1 + lengths[rest[0]]
			list, rest = append(list, rest[:n]), rest[n:]
		}
		slices.SortFunc(list, bytes.Compare)
		return slices.Concat(b[:headerLength], bytes.Join(list, nil))
	}
	if again := remember(second)[0]; !bytes.Equal(ordered(again), ordered(memory)) {
		t.Error("a recalled memory is saved differently")
	}
	for kind, b := range first.blocks.by { // the kernel has them, the memory does not
		other := second.blocks.by[kind]
		for i := range 6000 {
			a := probeOf(i).Source
			for _, p := range []netip.Prefix{netip.PrefixFrom(a, a.BitLen()), first.SourceOf(a),
				book.PrefixOfNetwork(a)} {
				if x, ok := b.Get(p, first.clock.now); ok {
					other.End(p)
					other.Put(p, x)
				}
			}
		}
		if b.Len() != other.Len() {
			t.Fatalf("%d of %d blocks were handed over", other.Len(), b.Len())
		}
	}
	blocked := 0
	for i := 3000; i < 6000; i++ {
		p := probeOf(i)
		one, two := first.Observe(p), second.Observe(p)
		// The memory leaves out what many sources did together in the last minutes, and how much of
		// it was reported.
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

// remember returns the parts of the memory of an engine.
func remember(e *Engine) (parts [][]byte) {
	for m, more := e.Memory(), true; more; {
		var part []byte
		part, more = m.Next(nil)
		parts = append(parts, part)
	}
	return parts
}

func recall(e *Engine, parts [][]byte) error {
	for _, part := range parts {
		if err := e.Recall(part); err != nil {
			return err
		}
	}
	return nil
}

// TestMemoryIsBounded has more sources of each kind than a memory holds. Sources with the most ports
// stay, sources with a single probe do not.
func TestMemoryIsBounded(t *testing.T) {
	w := newWorld(t, Config{Sources: 80_000, TCP: Policy{Trigger: [probe.Modes]int{probe.Advanced: 31}}})
	scanner := func(i, ports int) {
		for p := range ports {
			w.send(func(x *probe.Probe) { x.Source = addr4(uint32(i)) }, port(100+p))
		}
	}
	for i := range 20_000 {
		scanner(i, 1)
	}
	if n := size(remember(w.Engine)); n > 100 {
		t.Errorf("%d bytes of sources that sent a single probe", n)
	}
	for i := range 40_000 {
		scanner(1<<20+i, 2)
	}
	for i := range 1000 {
		scanner(1<<21+i, 3)
	}
	parts := remember(w.Engine)
	if n, most := size(parts), mostSources*(1+sourceLength)+mostTraces*(1+traceLength); n > most+
		16*len(parts) {
		t.Errorf("%d bytes, at most %d", n, most)
	}
	for i, p := range parts {
		if len(p) > partLength+8*(1+sourceLength) {
			t.Errorf("part %d has %d bytes", i, len(p))
		}
	}
	next := newWorld(t, Config{Sources: 80_000})
	if err := recall(next.Engine, parts); err != nil {
		t.Fatal(err)
	}
	next.at = w.at
	for i := range 1000 {
		s, ok := next.Describe(addr4(uint32(1<<21 + i)))
		if !ok || s.Ports != 3 {
			t.Fatalf("source %d of three ports: %+v, %v", i, s, ok)
		}
	}
}

// The last offenders are remembered, a quarter as many as the sources.
func TestOffendersAreBounded(t *testing.T) {
	w := newWorld(t, Config{Sources: 4096, Style: BlockOnly, UnprovenRate: 100_000,
		TCP: Policy{Action: Block}})
	var blocked []netip.Addr
	for i := range 2000 {
		source := addr4(uint32(i) << 12) // each of another network
		if d := w.send(func(x *probe.Probe) { x.Source = source }); d.Offence == 1 {
			blocked = append(blocked, source)
		}
	}
	const most = 1024
	if n := w.Engine.blocks.offenders.Len(); n != most || len(blocked) <= most {
		t.Fatalf("of %d offenders %d are remembered, want %d", len(blocked), n, most)
	}
	for i, source := range blocked {
		want := 0
		if i >= len(blocked)-most {
			want = 1
		}
		if s, _ := w.Describe(source); s.Offences != want {
			t.Errorf("the offender %d of %d has %d offences, want %d", i, len(blocked), s.Offences, want)
		}
	}
}

func size(parts [][]byte) (n int) {
	for _, p := range parts {
		n += len(p)
	}
	return n
}

// FuzzRecall recalls any bytes: no panic, and nothing is taken from an invalid memory.
func FuzzRecall(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0})
	header := append([]byte{memoryVersion}, make([]byte, headerLength-1)...)
	f.Add((&source{Key: probe.Key{Hi: 1, Lo: 2}, used: 3}).append(append(header, sourceRecord)))
	f.Add((&source{Key: probe.Key{Hi: 1, Lo: 2}, used: 200}).append(append(header, sourceRecord)))
	f.Add((&trace{Key: probe.Key{Hi: 1, Lo: 2}, used: 200}).append(append(header, traceRecord)))
	f.Add(append(append(header, offenceRecord), make([]byte, offenceLength)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := New(Config{Sources: 16}, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Recall(b); err != nil {
			if !errors.Is(err, ErrMemory) || e.Stats().Sources > 0 || e.blocks.offenders.Len() > 0 {
				t.Errorf("%v, with %d sources", err, e.Stats().Sources)
			}
			return
		}
		for i := range 64 {
			e.Observe(probe.Probe{At: int64(i), Source: netip.AddrFrom4([4]byte{byte(i)}), Port: uint16(i),
				Protocol: probe.ProtocolTCP, Mode: probe.Advanced})
		}
	})
}
