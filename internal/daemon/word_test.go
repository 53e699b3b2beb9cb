// SPDX-License-Identifier: MIT

package daemon

import (
	"errors"
	"net/netip"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"picket/engine"
	"picket/internal/control"
	"picket/internal/ledger"
	"picket/nft"
)

// late is a block of the judge's that comes when a person has said otherwise.
func late(source string, renew bool) *blockWork {
	return &blockWork{Ref: ledger.Ref{Response: engine.Block, Source: prefix(source)}, length: time.Minute,
		seen: time.Now(), renew: renew}
}

// An unblock holds, although a packet arrived before the judge heard of it. So does a longer block by
// hand, although a block of the judge's was on its way.
func TestLateBlock(t *testing.T) {
	running(t, plain, nil, func(r *run) {
		block := control.Request{Command: "block", Source: "192.0.2.7", For: "1d"}
		r.asks(block, "")
		r.asks(control.Request{Command: "unblock", Source: "192.0.2.7"}, "")
		r.orders.block(late("192.0.2.7/32", true))
		r.wants()
		// If the judge goes on to think that it is blocked, it learns the truth by the next packet.
		if err := r.docket.restore(r.t.Context(), inForce{late("192.0.2.7/32", true).Ref, time.Now(),
			time.Now().Add(time.Hour)}); err != nil {
			r.t.Fatal(err)
		}
		time.Sleep(time.Minute)
		r.probes("192.0.2.7", 1000, 26)
		r.wants()
		r.probes("192.0.2.7", 2000, 30)
		r.wants("192.0.2.7/32")

		r.asks(block, "")
		synctest.Wait()
		r.log.Take()
		r.orders.block(late("192.0.2.7/32", false))
		r.told(0, "event=block")
		time.Sleep(time.Hour)
		r.wants("192.0.2.7/32")
		x := r.asks(control.Request{Command: "explain", Source: "192.0.2.7"}, "").(*control.Explanation)
		if len(x.Blocks) != 1 || !x.Blocks[0].ByHand {
			r.t.Fatalf("%+v", x.Blocks)
		}
		// The kernel has lost it: it is a person's as before, and lets no flow go on.
		lost := late("192.0.2.7/32", true)
		lost.event.Proven, lost.length = true, 23*time.Hour
		r.orders.block(lost)
		r.told(1, "blocked 192.0.2.7/32 again")
		x = r.asks(control.Request{Command: "explain", Source: "192.0.2.7"}, "").(*control.Explanation)
		if !x.Blocks[0].ByHand {
			t.Errorf("%+v", x.Blocks)
		}
	})
}

// A person blocks a connected peer to end its connection. That the judge has blocked it a moment ago,
// or is about to, does not end the block.
func TestConnectedPeerStaysBlockedByHand(t *testing.T) {
	for name, waits := range map[string]bool{"blocked": false, "in doubt": true} {
		running(t, plain, nil, func(r *run) {
			peer := netip.MustParseAddr("192.0.2.9")
			r.probes("192.0.2.1", 1, 1)
			time.Sleep(3 * time.Second) // the look after it
			r.kernel.with(func() { r.connected[peer] = waits })
			r.probes("192.0.2.9", 1000, 40)
			r.kernel.with(func() { r.kernel.peers = []netip.Addr{peer} })
			r.asks(control.Request{Command: "block", Source: "192.0.2.9", For: "1d"}, "")
			time.Sleep(3 * time.Second)
			r.wants("192.0.2.9/32")
			if r.told(0, "event=ignore"); r.t.Failed() {
				r.t.Error(name)
			}
		})
	}
}

// One block that the kernel refuses costs an earlier run no other.
func TestRefusedBlockOfAnEarlierRun(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("STATE_DIRECTORY", dir)
	path := filepath.Join(dir, "picket.toml")
	write(t, path, strings.ReplaceAll(plain, "DIR", dir))
	synctest.Test(t, func(t *testing.T) {
		r := begin(t, path, nil)
		for _, s := range []string{"192.0.2.7", "192.0.2.8", "192.0.2.9"} {
			r.asks(control.Request{Command: "block", Source: s, For: "1d"}, "")
		}
		r.finish()
		r = begin(t, path, func(k *kernel) { k.refused[prefix("192.0.2.8/32")] = true })
		r.told(1, "1 blocks of an earlier run could not be put back: refused")
		r.wants("192.0.2.7/32", "192.0.2.9/32")
		r.finish()
	})
}

// While the table is gone, no block is tried by itself: each failure takes the kernel 16 ms, and the
// blocker is to put the table back.
func TestNoTryWithoutTable(t *testing.T) {
	running(t, plain, nil, func(r *run) {
		r.kernel.with(func() { r.failing, r.tried = syscall.ENOENT, 0 })
		var many []string
		for i := range batch {
			many = append(many, netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}).String())
		}
		r.asks(control.Request{Command: "block", For: "1h", Sources: many}, "")
		r.kernel.with(func() {
			if r.tried != 1 {
				t.Errorf("%d transactions fail", r.tried)
			}
			r.failing = nil
		})
	})
}

// Sources whose flows have ended are blocked before connection tracking, although a wider block
// stands in the way of one of them.
func TestHardenAllButOne(t *testing.T) {
	running(t, graded, nil, func(r *run) {
		for _, a := range []string{"203.0.113.9", "203.0.113.10", "203.0.113.11"} {
			for port := range uint16(40) {
				r.emit(connect(netip.MustParseAddr(a), port+1), nil)
			}
		}
		synctest.Wait()
		r.kernel.with(func() { r.refused[prefix("203.0.113.10/32")] = true })
		r.log.Take()
		time.Sleep(3 * lookEvery)
		r.told(0, "refused")
		r.kernel.with(func() {
			for p, b := range r.kernel.blocks {
				if b.Spare != r.refused[p] {
					t.Errorf("%v: spared %v", p, b.Spare)
				}
			}
		})
	})
}

// The blocks come back although the inline verdict cannot.
func TestTableComesBackWithoutQueue(t *testing.T) {
	running(t, inlined, nil, func(r *run) {
		r.asks(control.Request{Command: "block", Source: "192.0.2.7", For: "1d"}, "")
		r.kernel.with(func() {
			r.kernel.state, r.kernel.elements, r.queued = nft.Absent, nil, 0
			clear(r.ends)
			clear(r.kernel.blocks)
			r.noRule = errors.New("no such module")
		})
		r.changed <- "nft"
		r.wants("192.0.2.7/32")
		r.told(1, "the inline verdict is off: no such module")
	})
}

// A configuration that the kernel refuses is nobody's.
func TestRefusedConfiguration(t *testing.T) {
	running(t, plain, nil, func(r *run) {
		dir := filepath.Dir(r.options.Path)
		write(t, r.options.Path, "dry_run = true\n"+strings.ReplaceAll(plain, "DIR", dir))
		r.kernel.with(func() { r.failing = errors.New("no memory") })
		r.hangup <- syscall.SIGHUP
		r.told(1, "the configuration was not changed")
		r.kernel.with(func() { r.failing = nil })
		r.probes("192.0.2.9", 1000, 40)
		r.wants("192.0.2.9/32")
	})
}

// An arming lasts as long as it says, although a reload has ended an earlier one.
func TestArmAfterReload(t *testing.T) {
	running(t, "dry_run = true\n"+plain, nil, func(r *run) {
		r.asks(control.Request{Command: "arm", For: "4m"}, "")
		r.hangup <- syscall.SIGHUP
		time.Sleep(3 * time.Minute)
		r.asks(control.Request{Command: "arm", For: "4m"}, "")
		time.Sleep(2 * time.Minute)
		r.told(0, "not confirmed")
		time.Sleep(3 * time.Minute)
		r.told(1, "not confirmed")
	})
}

// What ended is forgotten before any request: it may be a connection to the trap, or a new block.
func TestJudgeHeedsEndsFirst(t *testing.T) {
	running(t, plain, nil, func(r *run) {
		for range 50 {
			ended := late("192.0.2.7/32", false).Ref
			hold := make(chan struct{})
			r.docket.put(r.t.Context(), func(*judge) { <-hold })
			synctest.Wait()
			r.docket.unblocked(ended)
			r.docket.put(r.t.Context(), func(j *judge) {
				j.docket.mu.Lock()
				defer j.docket.mu.Unlock()
				if len(j.docket.lost) > 0 {
					t.Error("the judge works on without knowing what has ended")
				}
			})
			close(hold)
			synctest.Wait()
		}
	})
}
