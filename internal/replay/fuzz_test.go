// SPDX-License-Identifier: MIT

package replay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"runtime"
	"slices"
	"testing"

	"picket/internal/packet"
)

// feed gives d a fragment.
func feed(t *testing.T, d *defragmenter, b []byte) []byte {
	t.Helper()
	var p packet.Packet
	if r := packet.Decode(b, &p); r != packet.OK || !p.Fragment() {
		t.Fatalf("no fragment: %v %x", r, b)
	}
	return d.add(&p, b, 1)
}

// FuzzReader: no panic; every error says where; offsets and packets only grow;
// what is read lies within the file; and memory is bounded by the buffers.
func FuzzReader(f *testing.F) {
	for _, b := range captures(f) {
		f.Add(b)
		f.Add(b[:len(b)*2/3])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		total := walk(t, b)
		runtime.ReadMemStats(&after)
		// Two buffers (gzip has one of its own), gzip's state, interfaces.
		if got := after.TotalAlloc - before.TotalAlloc; got > 3*bufferSize+256<<10 {
			t.Fatalf("%d bytes of capture took %d bytes of memory", len(b), got)
		}
		if !zipped(b) && total > len(b) {
			t.Fatalf("%d bytes of packets in %d of file", total, len(b))
		}
	})
}

func zipped(b []byte) bool { return bytes.HasPrefix(b, []byte{0x1f, 0x8b}) }

// walk reads b to its end and returns how many bytes of packets were in it.
func walk(t *testing.T, b []byte) (total int) {
	t.Helper()
	r, err := newReader("fuzz", bytes.NewReader(b))
	last := int64(-1)
	for n := uint64(1); err == nil; n++ {
		var rec record
		if err = r.read(&rec); err != nil {
			break
		}
		if len(rec.data) > maxPacket || r.offset <= last || r.packets != n || !knownLink(rec.link) {
			t.Fatalf("packet %d of %d bytes, link type %d, ends at %d after %d", n, len(rec.data), rec.link,
				r.offset, last)
		}
		last = r.offset
		total += len(rec.data)
	}
	var e *Error
	if err != io.EOF && (!errors.As(err, &e) || e.File != "fuzz" || e.Packet == 0 && (e.Offset != 0 ||
		total != 0) || e.Offset < 0 || e.Err == nil) {
		t.Fatalf("error without a place: %v", err)
	}
	return total
}

// FuzzRun: every packet gets one verdict, a probe is of a watched host, a
// connection was asked for before it was completed, the same capture gives the
// same verdicts, and two copies at once are read to the same end.
func FuzzRun(f *testing.F) {
	for _, b := range captures(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		rules := Rules{Local: host(), Trap: func(port uint16) bool { return port%2 == 0 }}
		var first, again []Verdict
		sum, _ := Run(context.Background(), []Source{Memory("fuzz", b)}, rules, func(r *Record) {
			first = append(first, r.Verdict)
			if r.Verdict != Probe {
				return
			}
			watched := slices.ContainsFunc(rules.Local,
				func(p netip.Prefix) bool { return p.Contains(r.Probe.Destination) })
			// Only the kernel's word, NFLOG's prefix, makes a probe of what goes elsewhere.
			if r.Probe.Mode == 0 || !r.Probe.Source.IsValid() || !watched && !zipped(b) && !bytes.Contains(b,
				[]byte(r.Probe.Mode.String())) {
				t.Fatalf("probe %+v", r.Probe)
			}
		})
		Run(context.Background(), []Source{Memory("fuzz", b)}, rules,
			func(r *Record) { again = append(again, r.Verdict) })
		if !bytes.Equal(verdictBytes(first), verdictBytes(again)) || sum.Packets != uint64(len(first)) {
			t.Fatal("two replays differ")
		}
		if sum.Connected > sum.Asked {
			t.Fatalf("%d connections of %d were completed", sum.Connected, sum.Asked)
		}
		both, _ := Run(context.Background(), []Source{Memory("one", b), Memory("two", b)}, rules,
			func(*Record) {})
		if both.Packets != 2*sum.Packets || both.First != sum.First || both.Last != sum.Last {
			t.Fatalf("two copies: %+v, of one %+v", both, sum)
		}
	})
}

func verdictBytes(list []Verdict) []byte {
	b := make([]byte, len(list))
	for i, v := range list {
		b[i] = byte(v)
	}
	return b
}
