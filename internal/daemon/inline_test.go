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

// Without a trap, whose listener is not the bubble's.
const (
	direct  = "[tcp]\nmodes = [\"stealth\", \"advanced\"]\n"
	inlined = direct + "[inline]\nports = \"open\"\n"
)

// visits has a source's SYN to a service wait, and returns whether it was let in;
// done is false if there was no answer.
func (r *run) visits(source string, id uint32, change func(*probe.Probe)) (in, done bool) {
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
	if !r.visit(inline.Held{ID: id, Since: since, Probe: p, Reply: func(id uint32, pass bool) {
		r.kernel.with(func() { r.verdicts[id] = pass })
	}}, make([]byte, 40)) {
		r.t.Error("the judge does not take it")
	}
	synctest.Wait()
	r.kernel.with(func() { in, done = r.verdicts[id] })
	return in, done
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

// A scanner's SYN to a service is turned away once the kernel has its fence, and
// told of with the time that it waited; a probe that came before it counts, though
// it was not judged yet.
func TestInlineVerdict(t *testing.T) {
	running(t, inlined, nil, func(r *run) {
		r.told(1, "the inline verdict is on: a SYN in doubt waits in NFQUEUE 7425, by nft_queue")
		if in, done := r.visits("198.51.100.7", 1, nil); !in || !done {
			t.Error("a stranger is not let in")
		}
		r.scans("198.51.100.7")
		if in, done := r.visits("198.51.100.7", 2, nil); in || !done {
			t.Errorf("a scanner: let in %v, judged %v", in, done)
		}
		synctest.Wait()
		var fenced bool
		r.kernel.with(func() { fenced = len(r.others) > 0 })
		if !fenced {
			t.Error("it is not fenced")
		}
		lines := strings.Join(r.log.Take(), "\n")
		if !strings.Contains(lines, "turned away from a service: what it sends is what scanners send, "+
			"held inline for 0.2 ms") || !strings.Contains(lines, "held_us=200") {
			t.Errorf("told:\n%s", lines)
		}
		s, err := r.status(r.t.Context())
		if err != nil || s.Inline == nil || s.Inline.Held != 9 || s.Inline.By != "nft_queue" {
			t.Errorf("status: %+v, %v", s.Inline, err)
		}
	})
}

// If the kernel refuses the fence there is no answer, and the packet passes by its age.
func TestInlineWaitsForTheKernel(t *testing.T) {
	running(t, inlined, nil, func(r *run) {
		r.scans("198.51.100.7")
		synctest.Wait()
		r.kernel.with(func() { r.refused[prefix("198.51.100.7/32")] = true })
		if _, done := r.visits("198.51.100.7", 2, nil); done {
			t.Error("an answer without a fence")
		}
		r.told(1, "could not fence")
	})
}

// Without a queue, or without the rule, all but the inline verdict works, and the
// journal and the status say so; nothing is led anywhere then.
func TestNoQueue(t *testing.T) {
	for name, prepare := range map[string]func(*kernel){
		"no socket": func(k *kernel) { k.noQueue = errors.New("no such thing") },
		"no rule":   func(k *kernel) { k.noRule = errors.New("no such thing") },
	} {
		running(t, inlined, prepare, func(r *run) {
			r.told(1, "the inline verdict is off, and every SYN to a service passes at once: no such thing")
			var led int
			var bound int
			r.kernel.with(func() { led, bound = len(r.kernel.elements.InlineTCP)+int(r.queued), r.bound })
			if led != 0 || bound != 0 {
				t.Errorf("%s: led %d, bound %d", name, led, bound)
			}
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

// A reload turns it on and off; what others take away comes back; the end leaves
// nothing that leads anywhere.
func TestInlineIsFollowed(t *testing.T) {
	running(t, direct, nil, func(r *run) {
		state := func(want uint16, bound, ports int) {
			t.Helper()
			synctest.Wait()
			r.kernel.with(func() {
				if r.queued != want || r.bound != bound || len(r.kernel.elements.InlineTCP) != ports {
					t.Errorf("led to %d, %d bound, %d ranges; want %d, %d, %d",
						r.queued, r.bound, len(r.kernel.elements.InlineTCP), want, bound, ports)
				}
			})
		}
		state(0, 0, 0)
		for range 2 {
			write(t, r.options.Path, inlined)
			r.hangup <- syscall.SIGHUP
			state(7425, 1, 1)
			r.kernel.with(func() { r.queued = 0 })
			r.changed <- "nft[7]"
			state(7425, 1, 1)
			write(t, r.options.Path, direct)
			r.hangup <- syscall.SIGHUP
			state(0, 0, 0)
		}
		write(t, r.options.Path, inlined)
		r.hangup <- syscall.SIGHUP
		state(7425, 1, 1)
		r.finish()
		r.kernel.with(func() {
			if r.queued != 0 || r.bound != 0 {
				t.Errorf("left: led to %d, %d bound", r.queued, r.bound)
			}
		})
		r.result <- nil
	})
}
