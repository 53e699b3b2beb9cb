// SPDX-License-Identifier: MIT

package behind

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"picket/internal/host"
	"picket/internal/probe"
)

// A fake is an asker with the answers of a test.
type fake struct {
	served  bool
	refuses bool
	flow    host.Tracked
	err     error
	closed  bool
}

func (f *fake) Served(uint8, netip.AddrPort) (bool, error)  { return f.served, f.err }
func (f *fake) Refuses(uint8, netip.AddrPort) (bool, error) { return f.refuses, f.err }
func (f *fake) Flow(uint8, netip.AddrPort, netip.AddrPort) (host.Tracked, error) {
	return f.flow, f.err
}
func (f *fake) Close() error { f.closed = true; return nil }

// Probes that come too fast are counted, and nobody waits. A probe without an answer is judged,
// with its bytes, as soon as that is known.
func TestWatch(t *testing.T) {
	for name, x := range map[string]struct {
		asker fake
		n     int
		is    bool
	}{
		"nobody answers": {fake{flow: host.Tracked{Known: true}}, 10, true},
		"it is slow":     {fake{flow: host.Tracked{Known: true, Published: true}}, 10, false},
		"it refuses": {fake{refuses: true, flow: host.Tracked{Known: true, Published: true}}, 10,
			true},
		"it is served": {fake{served: true}, 10, false},
		"no answer":    {fake{err: errors.New("no")}, 10, false},
		"a flood":      {fake{flow: host.Tracked{Replied: true}}, 2 * waitingRoom, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			var judged, troubles atomic.Int64
			w := NewWatch()
			w.Open, w.Snaplen = func() (Asker, error) { return &x.asker, nil }, 40
			w.Judge = func(p probe.Probe, raw []byte) {
				if judged.Add(1); len(raw) != 40 || raw[0] != byte(p.Port) {
					t.Errorf("%s: port %d has the bytes %v", name, p.Port, raw)
				}
			}
			w.Trouble = func(err error) {
				if err != nil {
					troubles.Add(1)
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- w.Run(ctx) }()
			for i := range x.n {
				if i%100 == 0 {
					synctest.Wait()
				}
				raw := make([]byte, 64)
				raw[0] = byte(i)
				w.Put(probe.Probe{Source: start4, Destination: inside, Port: uint16(i),
					Protocol: probe.ProtocolTCP}, raw)
			}
			time.Sleep(Patience - time.Millisecond)
			synctest.Wait()
			if judged.Load() > 0 {
				t.Errorf("%s: judged before it can be known", name)
			}
			time.Sleep(2 * time.Millisecond)
			synctest.Wait()
			if n := int(judged.Load()); x.is && n != x.n || !x.is && n != 0 {
				t.Errorf("%s: %d judged", name, n)
			}
			if want := uint64(max(0, x.n-waitingRoom)); w.Shed() != want {
				t.Errorf("%s: %d of %d were left, want %d", name, w.Shed(), x.n, want)
			}
			if n := troubles.Load(); (n > 0) != (x.asker.err != nil) {
				t.Errorf("%s: told of %d troubles", name, n)
			}
			cancel()
			if err := <-ended; err != nil || !x.asker.closed {
				t.Errorf("%s: %v, closed %v", name, err, x.asker.closed)
			}
		})
	}
}

var start4 = netip.MustParseAddr("203.0.113.9")

// A device that scans from behind this host is reported, and not judged.
func TestWatchOutward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		scans := 0
		w := NewWatch()
		w.Open, w.Snaplen = func() (Asker, error) { return new(fake), nil }, 40
		w.Judge = func(probe.Probe, []byte) { t.Error("judged") }
		w.Scans = func(p *probe.Probe, s Scan) {
			if scans++; p.Source != inside || s.Asked != mostUnanswered+1 {
				t.Errorf("%v, %+v", p.Source, s)
			}
		}
		w.Trouble = func(error) {}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.Run(ctx) }()
		for i := range 100 {
			w.Put(probe.Probe{At: time.Now().UnixNano(), Source: inside, Destination: target(i), Port: 23,
				Outward: true}, nil)
		}
		time.Sleep(time.Second)
		cancel()
		if err := <-ended; err != nil || scans != 1 {
			t.Errorf("%v, told of %d scans", err, scans)
		}
	})
}

// TestPutAllocatesNothing: what a flood costs the goroutine that reads does not grow with it.
func TestPutAllocatesNothing(t *testing.T) {
	w := NewWatch()
	raw := make([]byte, 1500)
	for range queue {
		w.Put(probe.Probe{}, raw)
	}
	for range queue / 2 {
		w.spare <- make([]byte, 128)
	}
	if n := testing.AllocsPerRun(100, func() { w.Put(probe.Probe{}, raw) }); n > 0 {
		t.Errorf("%v allocations a probe without room", n)
	}
	if len(w.spare) != queue/2 {
		t.Errorf("%d of %d buffers are left", len(w.spare), queue/2)
	}
	if n := w.Shed(); n < 100 {
		t.Errorf("%d shed", n)
	}
}
