// SPDX-License-Identifier: MIT

package engine

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"unsafe"

	"picket/internal/probe"
)

// addr4 returns the i-th address of a range that nobody else uses in tests.
func addr4(i uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 10<<24|i)
	return netip.AddrFrom4(b)
}

// busy returns an engine that knows n sources by a dozen ports each.
func busy(n int) (*Engine, probe.Probe) {
	e, _ := New(Config{TCP: Policy{Action: Log, Trigger: [probe.Modes]int{31, 31, 31, 31}}}, 1)
	p := probe.Probe{At: 1e18, Destination: netip.MustParseAddr("192.0.2.2"), SourcePort: 40000,
		Protocol: probe.ProtocolTCP,
		Mode:     probe.Advanced, Technique: probe.SYN, Flags: probe.FlagSYN, Window: 64240, MSS: 1460,
		Options: probe.OptionsLinux, TTL: 50, DontFrag: true}
	for port := range uint16(13) {
		for i := range n {
			p.Source, p.Port, p.Seq, p.At = addr4(uint32(i)), port, uint32(i), p.At+1000
			e.Observe(p)
		}
	}
	return e, p
}

// choices returns the senders of the next 65,536 probes among n sources: all equally often, the
// hardest case for a cache, or as on a telescope, where 1 % of the sources send 97 % of the
// packets (TU Delft 2024).
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

// BenchmarkObserve measures a probe of a known source: one by one, and in expected batches, as
// the daemon reads probes that wait.
func BenchmarkObserve(b *testing.B) {
	for _, n := range []int{1_000, 100_000, 262_144} {
		size := perSource(n)
		e, p := busy(n)
		for _, skewed := range []bool{false, true} {
			pick := choices(n, skewed)
			for _, batch := range []int{1, 32} {
				b.Run(fmt.Sprintf("sources=%d/skewed=%v/batch=%d", n, skewed, batch), func(b *testing.B) {
					probes := make([]probe.Probe, batch)
					b.ReportAllocs()
					b.ReportMetric(size, "B/source")
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

// BenchmarkObserveFlood measures probes of new sources while the table is full: each takes the
// place of another.
func BenchmarkObserveFlood(b *testing.B) {
	for _, batch := range []int{1, 32} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			e, _ := New(Config{TCP: Policy{Action: Log, Trigger: [probe.Modes]int{31, 31, 31, 31}}}, 1)
			p := probe.Probe{At: 1e18, Destination: netip.MustParseAddr("192.0.2.2"),
				Protocol: probe.ProtocolTCP, Mode: probe.Advanced, Technique: probe.SYN, Port: 23}
			probes := make([]probe.Probe, batch)
			i := uint32(0)
			flood := func() {
				for j := range probes {
					p.Source, p.Seq, p.At = addr4(i), i, p.At+1000
					probes[j] = p
					i++
				}
				if batch > 1 {
					e.Expect(probes)
				}
				for j := range probes {
					e.Observe(probes[j])
				}
			}
			for i < 2*defaultSources {
				flood()
			}
			b.ReportAllocs()
			b.ResetTimer()
			for range (b.N + batch - 1) / batch {
				flood()
			}
		})
	}
}

// TestSourceSize counts the bytes allocated for a source: record, tag, age and trace.
func TestSourceSize(t *testing.T) {
	if unsafe.Sizeof(source{}) != 3*64 || unsafe.Sizeof(trace{}) != 64 {
		t.Errorf("a record takes %d bytes and a trace %d, want whole cache lines", unsafe.Sizeof(source{}),
			unsafe.Sizeof(trace{}))
	}
	most, at := 0.0, 0
	for power := 1 << 10; power <= maxSources; power *= 2 {
		for _, n := range []int{power - 1, power, power + 1, power * 9 / 8, power * 4 / 3, power * 16 / 9} {
			if b := perSource(n); b > most {
				most, at = b, n
			}
		}
	}
	if most > 256 {
		t.Errorf("of %d sources, one takes %.1f bytes, want at most 256", at, most)
	}
	t.Logf("at most %.1f bytes a source, of %d; by default %.1f; what all share takes %d", most, at,
		perSource(defaultSources), unsafe.Sizeof(Engine{}))
}

// perSource returns the bytes a source takes in a table of n.
func perSource(n int) float64 {
	s, m := newTable(n, 1), newTraces(n, 1)
	return float64(len(s.records)*int(unsafe.Sizeof(source{}))+len(s.tags)*8+len(s.ages)+
		len(m.all)*int(unsafe.Sizeof(trace{}))+len(m.tags)*8) / float64(n)
}
