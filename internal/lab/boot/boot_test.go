// SPDX-License-Identifier: MIT

package boot

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestBoot boots, runs a unit, reboots, and leaves nothing behind.
func TestBoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("not root")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	networks := 0
	s, err := New(Options{Network: func(pid int) error {
		networks++
		return exec.CommandContext(ctx, "nsenter", "--target", strconv.Itoa(pid), "--net",
			"ip", "link", "add", "eth0", "type", "veth", "peer", "eth1").Run()
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const unit = "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo hello from $$PPID; cat /kept; ip -o " +
		"link show eth0'\n"
	for path, text := range map[string]string{"/etc/systemd/system/hello.service": unit,
		"/kept": "kept on disk\n"} {
		if err := os.WriteFile(s.Path(path), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Now()
	if err := s.Boot(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("booted in %v", time.Since(start))
	for round := 1; round <= 2; round++ {
		if _, err := s.Run(ctx, "systemctl", "start", "hello.service"); err != nil {
			t.Fatal(err)
		}
		entries, err := s.Journal(ctx, "-b", "-u", "hello.service", "_TRANSPORT=stdout")
		if err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, e := range entries {
			said = append(said, e["MESSAGE"])
		}
		if got := strings.Join(said, "\n"); !strings.Contains(got, "hello from 1\nkept on disk\n") ||
			!strings.Contains(got, "eth0") {
			t.Errorf("round %d: the journal has %q", round, got)
		}
		if networks != round {
			t.Errorf("round %d: %d networks", round, networks)
		}
		if round == 1 {
			if err := s.Reboot(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := os.Stat("/kept"); err == nil {
		t.Error("the machine's own disk was written to")
	}
	groups := s.groups
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		if _, err := os.Stat(g); err == nil {
			t.Errorf("%s is left", g)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil || strings.Contains(string(mounts), mounted) {
		t.Errorf("a mount is left (%v):\n%s", err, mounts)
	}
}
