// SPDX-License-Identifier: MIT

package daemon

import (
	"errors"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"picket/internal/control"
	"picket/internal/inline"
	"picket/internal/probe"
)

// Neither has a trap: its listener cannot be in the bubble.
const (
	direct  = "[tcp]\nmodes = [\"stealth\", \"advanced\"]\n"
	inlined = direct + "[inline]\nports = \"open\"\n"
)

// visits lets a SYN of a source to a service wait, and returns the last answer, 0 for none.
func (r *run) visits(source string, id uint32, change func(*probe.Probe)) (v inline.Verdict) {
	r.t.Helper()
	p := probe.Probe{
		At: time.Now().UnixNano(), Source: netip.MustParseAddr(source),
		Destination: netip.MustParseAddr("192.0.2.2"),
		SourcePort:  2000, Port: 80, Protocol: probe.ProtocolTCP, Flags: probe.FlagSYN, Technique: probe.SYN,
		TTL: 64, Window: 512,
	}
	if change != nil {
		change(&p)
	}
	since := time.Now()
	time.Sleep(200 * time.Microsecond)
	if !r.visit(inline.Held{ID: id, Since: since, Probe: p, Reply: func(id uint32, v inline.Verdict) {
		r.kernel.with(func() { r.verdicts[id] = v })
	}}, make([]byte, 40)) {
		r.t.Error("the judge does not take it")
	}
	synctest.Wait()
	r.kernel.with(func() { v = r.verdicts[id] })
	return v
}

// scans sends crude probes to three ports that bots look for.
func (r *run) scans(source string) {
	for _, port := range []uint16{23, 2323, 5555} {
		r.emit(probe.Probe{
			At: time.Now().UnixNano(), Source: netip.MustParseAddr(source),
			Destination: netip.MustParseAddr("192.0.2.2"), SourcePort: port, Port: port,
			Protocol: probe.ProtocolTCP, Flags: probe.FlagSYN, Technique: probe.SYN,
			Mode: probe.Advanced, TTL: 64, Window: 512, Seq: uint32(port),
		}, make([]byte, 40))
	}
}

// A scanner's SYN to a service is turned away once the kernel has its fence. The event says how
// long it waited. Probes that came before it count, even if they were not judged yet.
func TestInlineVerdict(t *testing.T) {
	running(t, inlined, nil, func(r *run) {
		r.told(1, "the inline verdict is on: a SYN in doubt waits in NFQUEUE 7425, by nft_queue")
		if r.visits("198.51.100.7", 1, nil) != inline.Let {
			t.Error("a stranger is not let in")
		}
		r.scans("198.51.100.7")
		if v := r.visits("198.51.100.7", 2, nil); v != inline.Refuse {
			t.Errorf("a scanner: %v, want it refused", v)
		}
		synctest.Wait()
		var fenced bool
		r.kernel.with(func() { fenced = len(r.others) > 0 })
		if !fenced {
			t.Error("it is not fenced")
		}
		lines := strings.Join(r.log.Take(), "\n")
		if !strings.Contains(lines, "turned away from a service: what it sends is what scanners send") ||
			!strings.Contains(lines, "; held inline for 0.2 ms") || !strings.Contains(lines, "held_us=200") {
			t.Errorf("told:\n%s", lines)
		}
		s, err := r.status(r.t.Context())
		if err != nil || s.Inline == nil || s.Inline.Held != 9 || s.Inline.By != "nft_queue" {
			t.Errorf("status: %+v, %v", s.Inline, err)
		}
	})
}

// A visit waits until everything that was mirrored before it is read, but only for a moment.
func TestInlineWaitsForTheReader(t *testing.T) {
	running(t, inlined, nil, func(r *run) {
		r.kernel.with(func() { r.unread = true })
		if v := r.visits("198.51.100.7", 1, nil); v != 0 {
			t.Errorf("%v, though probes were not read", v)
		}
		r.scans("198.51.100.7")
		r.kernel.with(func() { r.unread = false })
		time.Sleep(time.Millisecond)
		synctest.Wait()
		r.kernel.with(func() {
			if v := r.verdicts[1]; v != inline.Refuse {
				t.Errorf("%v, want it refused for the probes read by then", v)
			}
			r.unread = true
		})
		if v := r.visits("203.0.113.8", 2, nil); v != 0 {
			t.Errorf("%v, though probes were not read", v)
		}
		time.Sleep(inline.Age / 2)
		synctest.Wait()
		r.kernel.with(func() {
			if v := r.verdicts[2]; v != inline.Let {
				t.Errorf("%v, want it let in before its age", v)
			}
		})
	})
}

// If the kernel refuses the fence, the answer is the age.
func TestInlineWaitsForTheKernel(t *testing.T) {
	running(t, inlined, nil, func(r *run) {
		r.scans("198.51.100.7")
		synctest.Wait()
		r.kernel.with(func() { r.refused[prefix("198.51.100.7/32")] = true })
		if v := r.visits("198.51.100.7", 2, nil); v != inline.Doom {
			t.Errorf("%v: want it to wait for the fence, and to be dropped without one", v)
		}
		r.told(1, "could not fence")
	})
}

// Without a queue, or without the rule, everything but the inline verdict works. Journal and
// status say so, and no packet is led there.
func TestNoQueue(t *testing.T) {
	for name, prepare := range map[string]func(*kernel){
		"no socket": func(k *kernel) { k.noQueue = errors.New("no such thing") },
		"no rule":   func(k *kernel) { k.noRule = errors.New("no such thing") },
	} {
		running(t, inlined, prepare, func(r *run) {
			r.told(1, "the inline verdict is off, and every SYN to a service passes at once: no such thing")
			r.kernel.with(func() {
				if r.kernel.elements.Inline || r.queued != 0 || r.bound != 0 {
					t.Errorf("%s: called for %v, led to %d, %d bound", name, r.kernel.elements.Inline,
						r.queued, r.bound)
				}
			})
			s, err := r.status(r.t.Context())
			if err != nil || s.Inline == nil || s.Inline.Off != "no such thing" {
				t.Errorf("%s: %+v, %v", name, s.Inline, err)
			}
			r.scans("198.51.100.7")
			synctest.Wait()
			r.asks(control.Request{Command: "blocks"}, "")
		})
	}
}

// A reload turns it on and off. A rule that others remove comes back. At the end nothing leads
// to the queue.
func TestInlineIsFollowed(t *testing.T) {
	running(t, direct, nil, func(r *run) {
		state := func(want uint16, bound int, calls bool) {
			t.Helper()
			synctest.Wait()
			r.kernel.with(func() {
				if r.queued != want || r.bound != bound || r.kernel.elements.Inline != calls {
					t.Errorf("led to %d, %d bound, called for %v; want %d, %d, %v",
						r.queued, r.bound, r.kernel.elements.Inline, want, bound, calls)
				}
			})
		}
		state(0, 0, false)
		for range 2 {
			write(t, r.options.Path, inlined)
			r.hangup <- syscall.SIGHUP
			state(7425, 1, true)
			r.kernel.with(func() { r.queued = 0 })
			r.changed <- "nft[7]"
			state(7425, 1, true)
			write(t, r.options.Path, direct)
			r.hangup <- syscall.SIGHUP
			state(0, 0, false)
		}
		write(t, r.options.Path, inlined)
		r.hangup <- syscall.SIGHUP
		state(7425, 1, true)
		r.finish()
		r.kernel.with(func() {
			if r.queued != 0 || r.bound != 0 {
				t.Errorf("left: led to %d, %d bound", r.queued, r.bound)
			}
		})
		r.result <- nil
	})
}
