// SPDX-License-Identifier: MIT

package daemon

import (
	"errors"
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
