// SPDX-License-Identifier: MIT

package netns

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestGroupLeavesNothing(t *testing.T) {
	g, h := newGroup(t)
	sleeper := h.Command(t.Context(), "sleep", "60")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	program := fmt.Sprintf("/proc/%d/exe", sleeper.Process.Pid)
	for name := ""; !strings.HasSuffix(name, "/sleep"); name, _ = os.Readlink(program) {
		time.Sleep(time.Millisecond) // before, it may not be in the namespace
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if err := sleeper.Wait(); err == nil {
		t.Error("a process of the group outlived it")
	}
	gone(t, g.ID)
}

// TestKilledGroupLeavesNothing: a killed process leaves nothing; if its reaper was
// killed too, the next group removes the rest.
func TestKilledGroupLeavesNothing(t *testing.T) {
	if os.Getenv("PICKET_NETNS_VICTIM") != "" {
		g, _ := newGroup(t)
		fmt.Printf("group %s reaper %d\n", g.ID, g.cmd.Process.Pid)
		select {}
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root for network namespaces")
	}
	for _, reaperToo := range []bool{false, true} {
		victim := exec.Command(os.Args[0], "-test.run=^TestKilledGroupLeavesNothing$", "-test.v")
		victim.Env = append(os.Environ(), "PICKET_NETNS_VICTIM=1")
		out, err := victim.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := victim.Start(); err != nil {
			t.Fatal(err)
		}
		var id string
		var reaper int
		for id == "" {
			buf := make([]byte, 4096)
			n, err := out.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			if _, said, ok := strings.Cut(string(buf[:n]), "group "); ok {
				fmt.Sscanf(said, "%s reaper %d", &id, &reaper)
			}
		}
		if reaperToo {
			p, err := os.FindProcess(reaper)
			if err != nil {
				t.Fatal(err)
			}
			p.Kill()
		}
		victim.Process.Kill()
		victim.Wait()
		if reaperToo {
			if _, err := os.Stat(home + id); err != nil {
				t.Fatalf("nothing was left to clean up: %v", err)
			}
			if err := RemoveLeftovers(); err != nil {
				t.Fatal(err)
			}
		}
		gone(t, id)
	}
}

// gone waits until nothing of a group is left.
func gone(t *testing.T, id string) {
	t.Helper()
	for limit := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		left, _ := filepath.Glob("/run/netns/picket-*-" + id)
		if _, err := os.Stat(home + id); err == nil {
			left = append(left, home+id)
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("left over: %q", left)
		}
	}
}

// newGroup returns a group for the test, and a host in it.
func newGroup(t *testing.T) (*Group, *Host) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root for network namespaces")
	}
	g, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	h, err := g.Add("target")
	if err != nil {
		t.Fatal(err)
	}
	return g, h
}
