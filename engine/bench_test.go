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

// BenchmarkObserve measures a probe of a source that is known, picked at random.
func BenchmarkObserve(b *testing.B) {
	for _, n := range []int{1_000, 100_000, 262_144} {
		b.Run(fmt.Sprint("sources=", n), func(b *testing.B) {
			e, _ := New(Config{TCP: Policy{Action: Log, Trigger: [Modes]int{31, 31, 31, 31}}}, 1)
			p := Probe{At: 1e18, Destination: netip.MustParseAddr("192.0.2.2"), Protocol: ProtocolTCP, Mode: Advanced, Technique: SYN}
			for i := range n {
				p.Source, p.Port = addr4(uint32(i)), uint16(i)
				e.Observe(p)
			}
			r := rand.New(rand.NewPCG(1, 2))
			pick := make([]netip.Addr, 1<<16)
			for i := range pick {
				pick[i] = addr4(uint32(r.IntN(n)))
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				p.Source = pick[i%len(pick)]
				p.Port, p.Seq, p.At = uint16(i%29), uint32(i), p.At+1000
				e.Observe(p)
			}
		})
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
	// A record, its links and its part of the index at half load.
	size := unsafe.Sizeof(source{}) + unsafe.Sizeof(link{}) + 2*unsafe.Sizeof(uint32(0))
	if size > 256 {
		t.Errorf("a source takes %d bytes, want at most 256", size)
	}
	t.Logf("%d bytes a source, %d of them its record", size, unsafe.Sizeof(source{}))
}
