// SPDX-License-Identifier: MIT

package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"picket/internal/control"
)

// A trial says which sources it would block, why, and how much that would have kept off. A
// source is reported once, as if the kernel dropped its packets.
func TestTrialTellsWhatItWouldDo(t *testing.T) {
	running(t, "dry_run = true\n"+plain, nil, func(r *run) {
		r.probes("203.0.113.9", 1000, 100)
		r.wants()
		lines := strings.Join(r.log.Take(), "\n")
		for what, times := range map[string]int{"event=block": 0, "event=trial source=203.0.113.9": 1,
			"would=block": 1, "action=log for_s=300": 1} {
			if n := strings.Count(lines, what); n != times {
				t.Errorf("%q was told %d times, want %d:\n%s", what, n, times, lines)
			}
		}
		trial := r.asks(control.Request{Command: "trial"}, "").(*control.Trial)
		if trial.Sources != 1 || trial.Unwanted != 100 || trial.Kept != 74 || len(trial.Blocks) != 1 {
			t.Errorf("%+v, want 26 of 100 let pass", trial)
		}
		if b := trial.Blocks[0]; b.Name != "203.0.113.9" || b.Drops != 74 || b.Response != "block" ||
			b.Evidence == "" || b.Remaining < 290 {
			t.Errorf("%+v", b)
		}
		s := r.asks(control.Request{Command: "status"}, "").(*control.Status)
		if s.Blocks != 0 || s.Trial == nil || s.Trial.Share() != "74.0 %" || s.Trial.Blocks != nil {
			t.Errorf("%+v, %+v", s, s.Trial)
		}
		time.Sleep(time.Hour + time.Minute)
		synctest.Wait()
		r.told(1, "drops=74") // the sum of the hour
		if trial := r.asks(control.Request{Command: "trial"}, "").(*control.Trial); len(trial.Blocks) != 0 ||
			trial.Kept != 74 {
			t.Errorf("after the hour: %+v", trial)
		}
	})
}

// After "arm", picket blocks a source when it scans again. If the arming is for a time and not
// confirmed, the trial continues and the blocks end, except those of a person.
func TestArmRollsBack(t *testing.T) {
	running(t, "dry_run = true\n"+plain, nil, func(r *run) {
		r.probes("203.0.113.9", 1000, 50)
		r.asks(control.Request{Command: "block", Source: "198.51.100.7", For: "1d"}, "")
		r.asks(control.Request{Command: "arm", For: "never"}, "duration")
		r.asks(control.Request{Command: "arm"}, "dry_run = true is still in force")
		r.asks(control.Request{Command: "arm", For: "4m"}, "")
		r.wants("198.51.100.7/32")
		r.asks(control.Request{Command: "trial"}, "picket blocks already")
		r.probes("203.0.113.9", 2000, 50)
		r.wants("198.51.100.7/32", "203.0.113.9/32")
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		r.wants("198.51.100.7/32")
		r.told(1, "not confirmed: the trial goes on, and 1 responses are ended")
		r.probes("203.0.113.10", 1000, 50)
		r.wants("198.51.100.7/32")
	})
}

// A file that says so confirms it, and it stays armed.
func TestArmConfirmed(t *testing.T) {
	running(t, "dry_run = true\n"+plain, nil, func(r *run) {
		r.asks(control.Request{Command: "arm", For: "4m"}, "")
		dir := filepath.Join(filepath.Dir(r.daemon.options.Path), "picket.d")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "90-armed.toml"), "dry_run = false\n")
		r.asks(control.Request{Command: "arm"}, "")
		r.asks(control.Request{Command: "arm"}, "picket blocks already")
		time.Sleep(time.Hour)
		r.probes("203.0.113.9", 1000, 50)
		r.wants("203.0.113.9/32")
		r.told(0, "not confirmed")
	})
}
