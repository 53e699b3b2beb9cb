// SPDX-License-Identifier: MIT

package daemon

import (
	"bytes"
	"context"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"picket/engine"
	"picket/internal/config"
	"picket/internal/evidence"
	"picket/internal/probe"
)

func testJudge(t testing.TB) *judge {
	t.Helper()
	c := config.Default()
	e, err := engine.New(c.Engine(nil, 32768, false), 1)
	if err != nil {
		t.Fatal(err)
	}
	return newJudge(c, e, newDocket(), newOrders(), nil)
}

// rare is the time between late answers; at this rate none of them counts.
const rare = 20 * time.Second

// lateAnswer is a probe that is judged and stored, and not reported.
func lateAnswer(source netip.Addr, at int64) probe.Probe {
	return probe.Probe{
		At: at, Source: source, Destination: netip.MustParseAddr("192.0.2.2"), SourcePort: 53, Port: 40000,
		Protocol: probe.ProtocolUDP, Technique: probe.UDP, Mode: probe.Advanced,
	}
}

// A probe's way through the channel, the engine and into the evidence allocates nothing.
func TestProbePathDoesNotAllocate(t *testing.T) {
	j, raw, at := testJudge(t), make([]byte, 128), time.Now().UnixNano()
	source := netip.MustParseAddr("203.0.113.1")
	if n := testing.AllocsPerRun(20_000, func() {
		at += int64(2 * rare)
		j.docket.probe(lateAnswer(source, at), raw)
		j.docket.probe(lateAnswer(source, at), raw)
		j.batch(<-j.docket.probes)
	}); n != 0 {
		t.Errorf("%v allocations for two probes", n)
	}
	if kept, total := j.evidence.Of(netip.PrefixFrom(source, 32)); len(kept) != evidence.PerSource ||
		total < 40_000 {
		t.Errorf("%d kept of %d", len(kept), total)
	}
}

// Each probe arrives with its own bytes, even if the channel is full and slots are used again.
func TestTransit(t *testing.T) {
	j, at := testJudge(t), time.Now().UnixNano()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan struct{})
	go func() { _ = j.run(ctx); close(ended) }()
	source := netip.MustParseAddr("203.0.113.1")
	var raw [200]byte
	for i := range 5 * transitSlots {
		binary.BigEndian.PutUint64(raw[:], uint64(at+int64(i)*int64(rare)))
		raw[60+i%60] = 1 // sizes differ
		j.docket.probe(lateAnswer(source, at+int64(i)*int64(rare)), raw[:60+i%60])
		if i%777 != 0 && i < 5*transitSlots-1 {
			continue
		}
		if err := j.docket.do(ctx, func(j *judge) {
			kept, _ := j.evidence.Of(netip.PrefixFrom(source, 32))
			for _, k := range kept {
				if got := binary.BigEndian.Uint64(k.Raw); int64(got) != k.Probe.At ||
					len(k.Raw) != 60+int((k.Probe.At-at)/int64(rare))%60 {
					t.Errorf("the probe of %d has %d bytes, of %d", k.Probe.At-at, len(k.Raw), int64(got)-at)
				}
			}
			if len(kept) == 0 && i > transitSlots {
				t.Error("nothing is kept")
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	<-ended
	j.docket.probe(lateAnswer(source, at), bytes.Repeat([]byte{1},
		4096)) // returns, though nobody reads
}

func BenchmarkProbePath(b *testing.B) {
	j, raw, at := testJudge(b), make([]byte, 60), time.Now().UnixNano()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { _ = j.run(ctx) }()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		j.docket.probe(lateAnswer(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), at+int64(i)*int64(rare)),
			raw)
	}
}
