// SPDX-License-Identifier: MIT

package evidence

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"picket/engine"
	"picket/internal/probe"
)

func addr(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
}

// alone is the source of an address by itself.
func alone(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

func source(i int) netip.Prefix { return netip.PrefixFrom(addr(i), 32) }

func probeOf(i int, at int64) *probe.Probe {
	return &probe.Probe{
		At: at, Source: addr(i), Destination: netip.MustParseAddr("192.0.2.2"), SourcePort: 40000,
		Port:     uint16(at),
		Protocol: probe.ProtocolTCP, Mode: probe.Stealth, Technique: probe.SYN, Flags: probe.FlagSYN, TTL: 64,
		Length: 44, Interface: 3,
	}
}

var below = &engine.Decision{Reason: engine.BelowTrigger, Trigger: 25, Probes: 1, Within: 1}

func TestWhatIsKept(t *testing.T) {
	for _, p := range []probe.Probe{
		*probeOf(1, time.Now().UnixNano()),
		{At: 5, Source: netip.MustParseAddr("2001:db8::7"), Destination: netip.MustParseAddr("2001:db8::2"),
			Port: 53, Protocol: probe.ProtocolUDP, Mode: probe.Advanced, Technique: probe.UDP},
	} {
		p.Behind = p.Protocol == probe.ProtocolTCP
		d := engine.Decision{
			Behind: p.Behind,
			Action: engine.Block, Reason: engine.AboveTrigger, Source: netip.PrefixFrom(p.Source,
				p.Source.BitLen()), For: 5 * time.Minute,
			Score: 57, Observed: 1 << probe.MadeRaw, Offence: 2, Trigger: 25, Lowered: true,
			Pattern: engine.PortScan, NewPattern: true, Tool: 2, Proven: true,
			Probes: 70_000, Within: 26, Targets: 3, Ports: 32, Sources: 300, Shared: 5, Connections: 25,
			Invited: 24,
		}
		s := New(1<<20, 64)
		raw := []byte("\x45some bytes")
		s.Add(d.Source, &p, &d, raw)
		raw[0] = 'x' // it is the caller's again
		got, total := s.Of(d.Source)
		want := []Probe{{Probe: p, Decision: d, Raw: []byte("\x45some bytes")}}
		if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" ||
			total != 1 {
			t.Errorf("total %d (-want +got):\n%s", total, diff)
		}
		s.Add(d.Source, &p, &d, make([]byte, 1000))
		if got, _ = s.Of(d.Source); len(got) != 2 || len(got[1].Raw) != 64 {
			t.Errorf("a packet longer than snaplen: %+v", got)
		}
	}
}

// A probe that adds nothing displaces no other, and is counted.
func TestTailIsCounted(t *testing.T) {
	s := New(1<<20, 64)
	for i := range 40 {
		s.Add(source(1), probeOf(1, int64(i)), below, nil)
	}
	for range 100 {
		s.Add(source(1), probeOf(1, 1000), &engine.Decision{Reason: engine.AlreadyBlocked}, nil)
		s.Add(source(1), probeOf(1, 1000), &engine.Decision{Reason: engine.Retransmission}, nil)
		s.Add(source(2), probeOf(2, 1000), &engine.Decision{Reason: engine.AlreadyBlocked}, nil)
	}
	got, total := s.Of(source(1))
	if len(got) != PerSource || got[0].Probe.At != 40-PerSource || got[PerSource-1].Probe.At != 39 ||
		total != 240 {
		t.Errorf("%d kept, of %d: %+v", len(got), total, got)
	}
	if got, total := s.Of(source(2)); got != nil || total != 0 {
		t.Errorf("a source of which nothing was kept: %v, %d", got, total)
	}
}

// A flood of new sources displaces neither the probes that led to a block nor a
// scan that is under way.
func TestFloodLeavesTheRest(t *testing.T) {
	s := New(1<<20, 128)
	blocked := &engine.Decision{Action: engine.Block, Reason: engine.AboveTrigger, Source: source(1),
		For: time.Minute}
	for i := range 30 {
		s.Add(source(1), probeOf(1, int64(i)), below, nil)
		s.Add(source(2), probeOf(2, int64(i)), below, nil)
	}
	s.Add(source(1), probeOf(1, 30), blocked, nil)
	for i := range 100_000 {
		s.Add(source(1000+i), probeOf(1000+i, 0), below, nil)
	}
	one, _ := s.Of(source(1))
	two, _ := s.Of(source(2))
	if len(one) != 31 || len(two) != 30 {
		t.Errorf("%d of 31 and %d of 30 are left", len(one), len(two))
	}
	if st := s.Stats(); st.Probes != st.Capacity || st.Sources != st.Probes-61+2 {
		t.Errorf("%+v", st)
	}
	// Very many blocks do not take all of it either.
	for i := range 100_000 {
		s.Add(source(200_000+i), probeOf(1, 0), blocked, nil)
	}
	if got, _ := s.Of(source(1000 + 99_999)); len(got) != 1 {
		t.Error("the last of the flood is gone")
	}
}

func TestNothingIsKept(t *testing.T) {
	for _, s := range []*Store{new(Store), New(0, 128), New(100, 128)} {
		s.Expect([]probe.Probe{*probeOf(1, 1)}, alone)
		s.Add(source(1), probeOf(1, 1), below, []byte("x"))
		if got, total := s.Of(source(1)); got != nil || total != 0 || s.Stats() != (Stats{}) {
			t.Errorf("%v, %d, %v", got, total, s.Stats())
		}
	}
}

// TestModel compares a full store with a simple one, except for the choice of the
// source that makes room, and checks that its lists are whole.
func TestModel(t *testing.T) {
	s := New(20_000, 16)
	last := map[int][]int64{}
	r := rand.New(rand.NewPCG(1, 2))
	for step := range 200_000 {
		i := int(r.ExpFloat64() * 40)
		d := *below
		if r.IntN(50) == 0 {
			d = engine.Decision{Action: engine.Block, Reason: engine.AboveTrigger, Source: source(i)}
		}
		if step%8 == 0 {
			s.Expect(slices.Repeat([]probe.Probe{*probeOf(i, 0)}, r.IntN(2*expected)), alone)
		}
		s.Add(source(i), probeOf(i, int64(step)), &d, []byte{byte(i)})
		last[i] = append(last[i], int64(step))
		got, _ := s.Of(source(i))
		if len(got) == 0 || len(got) > PerSource {
			t.Fatalf("step %d: %d kept", step, len(got))
		}
		want := last[i][len(last[i])-len(got):]
		for n, p := range got {
			if p.Probe.At != want[n] || p.Raw[0] != byte(i) || p.Probe.Source != addr(i) {
				t.Fatalf("step %d: probe %d of source %d is %+v, want that of %d", step, n, i, p, want[n])
			}
		}
		if step%1000 == 0 {
			check(t, s)
		}
	}
	check(t, s)
}

// check counts everything twice.
func check(t *testing.T, s *Store) {
	t.Helper()
	records, entries := 0, 0
	for i, c := range s.classes {
		inClass := 0
		for e := c.first; e != none; e = s.entries[e].next {
			entries++
			n := 0
			for r := s.entries[e].oldest; r != none; r = s.records[r].next {
				n++
			}
			if n != int(s.entries[e].count) || n == 0 || int(s.entries[e].class) != i {
				t.Fatalf("entry %d: %d records, %+v", e, n, s.entries[e])
			}
			if s.find(s.bucket(s.entries[e].key), s.entries[e].key) != e {
				t.Fatalf("entry %d is not found", e)
			}
			inClass += n
		}
		if inClass != c.records {
			t.Fatalf("class %d has %d records, counted %d", i, inClass, c.records)
		}
		records += inClass
	}
	if records != s.used || entries != s.known {
		t.Fatalf("%d of %d records, %d of %d entries", records, s.used, entries, s.known)
	}
}

// TestMemory checks that the store keeps to its memory, and that the numbers in
// examples/picket.toml are true.
func TestMemory(t *testing.T) {
	var s *Store
	taken := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s = New(8<<20, 128)
		}
	}).AllocedBytesPerOp()
	if taken > 8<<20 || taken < 7<<20 {
		t.Errorf("8 MiB are %d bytes", taken)
	}
	if n := s.Stats().Capacity; n < 28_000 || n > 30_000 {
		t.Errorf("8 MiB hold %d probes", n)
	}
	t.Log(s.Stats().Capacity, "probes")
}

func TestAddDoesNotAllocate(t *testing.T) {
	s, i, raw, p := New(1<<20, 128), 0, make([]byte, 60), probeOf(1, 1)
	if n := testing.AllocsPerRun(20_000, func() {
		i++
		s.Add(source(i%7000), p, below, raw)
	}); n != 0 {
		t.Errorf("%v allocations a probe", n)
	}
}

func BenchmarkAdd(b *testing.B) {
	for _, sources := range []int{1, 1000, 1_000_000} {
		b.Run(fmt.Sprintf("sources=%d", sources), func(b *testing.B) {
			s, raw, p := New(8<<20, 128), make([]byte, 60), probeOf(1, 1)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				s.Add(source(i*7919%sources), p, below, raw)
			}
		})
	}
}
