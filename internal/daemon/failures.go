// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"picket/internal/hook"
	"picket/internal/journal"
)

// result tells of a command that failed.
func (a *actions) result(r hook.Result) {
	if r.Err == nil || errors.Is(r.Err, hook.ErrStopped) {
		return
	}
	said := ""
	if r.Output != "" {
		said = "; it said: " + strings.ReplaceAll(r.Output, "\n", " | ")
		if r.Cut {
			said += " (and more, which is cut off)"
		}
	}
	a.failures.tell("command for %s of %s: %v%s", r.Event.Event, r.Event.Source, r.Err, said)
}

// countEvery is how often it is told what was left out.
const countEvery = 10 * time.Second

// count tells what full queues have refused.
func (a *actions) count(ctx context.Context) {
	tick := time.NewTicker(countEvery)
	defer tick.Stop()
	var refused, missed, unasked uint64
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
		if n := a.runner.Refused(); n != refused {
			a.journal.Notice("", "%d commands were not run: %d wait already (run.queue, run.parallel)", n-refused, a.set.Load().Run.Queue)
			refused = n
		}
		if n := a.recorder.queue.Shed(); n != missed {
			a.journal.Notice("", "history: %d lines were not written: the disk is slower than they come", n-missed)
			missed = n
		}
		if n := a.names.Dropped(); n != unasked {
			a.journal.Notice("", "%d names were not looked up: too many questions wait already", n-unasked)
			unasked = n
		}
		a.failures.rest()
		if ctx.Err() != nil {
			return
		}
	}
}

// failures tells of failed commands, the first of each ten seconds with what
// they said and the others by their number: a scan by many sources may have a
// broken command fail for each.
type failures struct {
	journal *journal.Writer
	mu      sync.Mutex
	told    int
	left    int
}

const failuresTold = 10

func (f *failures) tell(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.told >= failuresTold {
		f.left++
		return
	}
	f.told++
	f.journal.Notice("", format, args...)
}

func (f *failures) rest() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left > 0 {
		f.journal.Notice("", "%d more commands failed", f.left)
	}
	f.told, f.left = 0, 0
}
