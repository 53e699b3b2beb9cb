// SPDX-License-Identifier: MIT

package engine

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"picket/internal/probe"
)

// behind makes a probe a forwarded one.
func behind(p *probe.Probe) { p.Behind = true }

// The hosts behind this one are never dark to anybody, however clear a source is: only a socket
// shows that nobody serves a port, and theirs are elsewhere.
func TestBehindIsNeverDark(t *testing.T) {
	w := newWorld(t, weighed())
	for p := range 16 {
		if d := w.send(likeTool(probe.ZMap), port(80+p), behind); d.Action != None {
			t.Fatalf("%v at the probe of port %d", d.Action, 80+p)
		}
		w.wait(time.Second)
	}
	// a port of this host itself
	w.goesDark(w.send(likeTool(probe.ZMap), port(80)), "198.51.100.7/32", 7*24*time.Hour)
}

// A source that asks many addresses behind this host is fenced. At the host's own addresses it
// would only go dark.
func TestSweepBehindIsFenced(t *testing.T) {
	for _, is := range []bool{false, true} {
		w := newWorld(t, weighed())
		var d Decision
		for i := range 9 {
			d = w.send(port(443), func(p *probe.Probe) {
				p.Destination, p.Behind = netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), is
			})
			w.wait(time.Second)
		}
		if got := d.Action == Fence; got != is || d.Reason != AboveSweep {
			t.Errorf("behind %v: %v, %v", is, d.Action, d.Reason)
		}
		if is && !strings.Contains(d.Evidence(), "of or behind this host") {
			t.Errorf("evidence %q", d.Evidence())
		}
	}
}

// The kernel holds a source for many ports behind this host. The judgement of one does not end
// the hold.
func TestHoldBehindStays(t *testing.T) {
	for _, is := range []bool{false, true} {
		w := newWorld(t, Config{TCP: Policy{Action: Block}, Style: Graded,
			Operators: NewPrefixes(netip.MustParsePrefix("198.51.100.7/32"))})
		if d := w.send(func(p *probe.Probe) { p.Behind = is }); d.Release == is {
			t.Errorf("behind %v: released %v", is, d.Release)
		}
	}
}
