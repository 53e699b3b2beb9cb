// SPDX-License-Identifier: MIT

package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// filtered returns an error if a thread of a process is under a seccomp filter and another is
// not, or if it is otherwise than wanted.
func filtered(pid int, wanted bool) error {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(threads) == 0 {
		return fmt.Errorf("no thread of process %d: %w", pid, err)
	}
	for _, path := range threads {
		status, err := os.ReadFile(path)
		if err != nil {
			continue // it has just ended
		}
		if strings.Contains(string(status), "\nSeccomp:\t2\n") != wanted ||
			strings.Contains(string(status), "\nNoNewPrivs:\t1\n") != wanted {
			return fmt.Errorf("%s: want filtered %v:\n%s", path, wanted, status)
		}
	}
	return nil
}

// Without a unit picket keeps itself to its system calls, on each thread; its commands, run by
// a process from before that, are free. All else goes on as ever; every test of this room
// has the filter.
func TestFiltered(t *testing.T) {
	l := newLab(t)
	dir := t.TempDir()
	config := func(name string) string {
		return longConfig() + fmt.Sprintf("[run]\ncommand = [\"/bin/sh\", \"-c\", "+
			"\"grep -E 'Seccomp:|NoNew' /proc/self/status >%s/%s.new && mv %[1]s/%[2]s.new %[1]s/%[2]s\"]\n"+
			"unproven = true\n[history]\nfile = \"%[1]s/history\"\n", dir, name)
	}
	d := begin(t, l.Target, Options{Config: config("first")})
	if err := filtered(d.cmd.Process.Pid, true); err != nil {
		t.Error(err)
	}
	for i, name := range []string{"first", "second"} {
		if i > 0 {
			if err := d.Reload(config(name)); err != nil {
				t.Fatal(err)
			}
			if _, err := d.WaitEvent(patience, "read again"); err != nil {
				t.Fatal(err)
			}
		}
		witness(t, l, d, Source4(i+1), l.Target.V4)
		eventually(t, patience, "the command", func() bool { return read(t, dir, name) != "" })
		if got := read(t, dir, name); got != "NoNewPrivs:\t0\nSeccomp:\t0\n" {
			t.Errorf("a command has %q", got)
		}
	}
	if out, err := l.Target.Run("nft", "flush", "ruleset"); err != nil {
		t.Fatal(err, out)
	}
	agreed(t, l, d, "a flush")
	if err := filtered(d.cmd.Process.Pid, true); err != nil {
		t.Error(err)
	}
	if err := d.Stop(); err != nil { // within its limit, and nothing is said that was refused
		t.Error(err)
	}
	if said := strings.Join(d.Events(), "\n"); strings.Contains(said, "not permitted") ||
		strings.Contains(said, "not filtered") {
		t.Error(said)
	}
	if got := read(t, dir, "history"); !strings.Contains(got, Source4(2).String()) {
		t.Errorf("the history has %q", got)
	}

	// Started without a command there is no process to run one.
	if err := os.WriteFile(d.config, []byte(longConfig()), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := d.Again()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Stop()
	if list, err := d.Blocks(); err != nil || len(list) != 2 {
		t.Errorf("after a restart: %+v, %v", list, err)
	}
	if err := d.Reload(config("third")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.WaitEvent(patience, "run.command, run.end change only with a restart"); err != nil {
		t.Error(err)
	}
	witness(t, l, d, Source4(3), l.Target.V4)
	if got := read(t, dir, "third"); got != "" {
		t.Errorf("a command was run: %q", got)
	}
}
