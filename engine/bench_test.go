// SPDX-License-Identifier: MIT

package engine

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"unsafe"
)

// addr4 returns the i-th address of a range that nobody else uses in tests.
func addr4(i uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 10<<24|i)
	return netip.AddrFrom4(b)
}

// busy returns an engine that knows n sources by a dozen ports each.
func busy(n int) (*Engine, Probe) {
	e, _ := New(Config{TCP: Policy{Action: Log, Trigger: [Modes]int{31, 31, 31, 31}}}, 1)
	p := Probe{At: 1e18, Destination: netip.MustParseAddr("192.0.2.2"), SourcePort: 40000, Protocol: ProtocolTCP,
		Mode: Advanced, Technique: SYN, Flags: FlagSYN, Window: 64240, MSS: 1460, Options: optsLinux, TTL: 50, DontFrag: true}
	for port := range uint16(13) {
		for i := range n {
			p.Source, p.Port, p.Seq, p.At = addr4(uint32(i)), port, uint32(i), p.At+1000
			e.Observe(p)
		}
	}
	return e, p
}

// choices returns which of n sources send the next 65,536 probes: all alike,
// which is the hardest case for a cache, or as on a telescope, where 1 % of the
// sources send 97 % of the packets (TU Delft 2024).
func choices(n int, skewed bool) []uint32 {
	r := rand.New(rand.NewPCG(1, 2))
	pick := make([]uint32, 1<<16)
	for i := range pick {
		if skewed && r.IntN(100) < 97 {
			pick[i] = uint32(r.IntN(n/100) * 100)
			continue
		}
		pick[i] = uint32(r.IntN(n))
	}
	return pick
}

// BenchmarkObserve measures a probe of a known source: one by one, and as the
// daemon reads them when several wait, in batches that are expected.
func BenchmarkObserve(b *testing.B) {
	for _, n := range []int{1_000, 100_000, 262_144} {
		e, p := busy(n)
		for _, skewed := range []bool{false, true} {
			pick := choices(n, skewed)
			for _, batch := range []int{1, 32} {
				b.Run(fmt.Sprintf("sources=%d/skewed=%v/batch=%d", n, skewed, batch), func(b *testing.B) {
					probes := make([]Probe, batch)
					b.ReportAllocs()
					for i := 0; i < b.N; i += batch {
						for j := range probes {
							k := i + j
							p.Source = addr4(pick[k%len(pick)])
							p.Port, p.Seq, p.At = uint16(k%13), p.Seq+1, p.At+1000
							probes[j] = p
						}
						if batch > 1 {
							e.Expect(probes)
						}
						for j := range probes {
							e.Observe(probes[j])
						}
					}
				})
			}
		}
	}
}

// BenchmarkObserveFlood measures probes of sources never seen before, with the
// table full: each takes the place of the oldest.
func BenchmarkObserveFlood(b *testing.B) {
	e, _ := New(Config{TCP: Policy{Action: Log, Trigger: [Modes]int{31, 31, 31, 31}}}, 1)
	p := Probe{At: 1e18, Destination: netip.MustParseAddr("192.0.2.2"), Protocol: ProtocolTCP, Mode: Advanced, Technique: SYN, Port: 23}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p.Source, p.Seq, p.At = addr4(uint32(i)), uint32(i), p.At+1000
		e.Observe(p)
	}
}

func TestSourceSize(t *testing.T) {
	// A record, its links, its part of the index at the lowest load, and its
	// part of the memory at the largest.
	per := unsafe.Sizeof(source{}) + unsafe.Sizeof(link{}) + 5*unsafe.Sizeof(uint32(0)) + (unsafe.Sizeof(trace{})+unsafe.Sizeof(uint16(0)))/2
	if per > 256 {
		t.Errorf("a source takes %d bytes, want at most 256", per)
	}
	if unsafe.Sizeof(source{}) != 3*64 || unsafe.Sizeof(trace{}) != 64 {
		t.Errorf("a record takes %d bytes and a trace %d, want whole cache lines", unsafe.Sizeof(source{}), unsafe.Sizeof(trace{}))
	}
	e, _ := New(Config{}, 1)
	tables := uintptr(len(e.sources.records))*unsafe.Sizeof(source{}) + uintptr(len(e.sources.order))*unsafe.Sizeof(link{}) +
		uintptr(len(e.sources.index)+len(e.sources.hashes))*4 + uintptr(len(e.traces.all))*(unsafe.Sizeof(trace{})+2)
	t.Logf("at most %d bytes a source; by default %d sources take %.1f bytes each; what all share takes %d", per, len(e.sources.records),
		float64(tables)/float64(len(e.sources.records)), unsafe.Sizeof(*e))
}
