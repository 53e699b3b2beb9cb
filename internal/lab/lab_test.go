// SPDX-License-Identifier: MIT

package lab

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestHostsReachEachOther(t *testing.T) {
	l := newLab(t)
	c, err := l.AddContainer()
	if err != nil {
		t.Fatal(err)
	}
	listen(t, l.Target, "tcp", 80)
	listen(t, c, "tcp", 80)
	to := func(a netip.Addr) netip.AddrPort { return netip.AddrPortFrom(a, 80) }
	for _, test := range []struct {
		name string
		from netip.Addr
		to   netip.Addr
	}{
		{"IPv4", l.Attacker.V4, l.Target.V4},
		{"IPv4 second address", Source4(Sources), l.Target.Second4},
		{"IPv6", l.Attacker.V6, l.Target.V6},
		{"IPv6 neighbour", Neighbour6(Sources), l.Target.Second6},
		{"IPv6 from a /64 of its own", Source6(Sources), l.Target.V6},
		{"IPv6 link-local", l.Attacker.LinkLocal, l.Target.LinkLocal},
		{"IPv4 container", Source4(1), c.V4},
		{"IPv6 container", Source6(1), c.V6},
	} {
		if test.from.IsLinkLocalUnicast() {
			zone := index(t, l.Attacker)
			test.from, test.to = test.from.WithZone(zone), test.to.WithZone(zone)
		}
		if _, err := l.Attacker.Dial("tcp", test.from, to(test.to), time.Second); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// index returns the number of a host's interface, as a zone: the net package
// would look a name up on the machine.
func index(t testing.TB, h *Host) string {
	t.Helper()
	out, err := h.Run("cat", "/sys/class/net/"+h.Dev+"/ifindex")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

func TestLabLeavesNothing(t *testing.T) {
	l := newLab(t)
	sleeper := l.Target.Command(t.Context(), "sleep", "60")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := sleeper.Wait(); err == nil {
		t.Error("a process of the lab outlived it")
	}
	gone(t, l.id)
}

// A process that is killed leaves nothing either; and what is left when its
// reaper was killed too goes with the next lab.
func TestKilledLabLeavesNothing(t *testing.T) {
	if os.Getenv("PICKET_LAB_VICTIM") != "" {
		l := newLab(t)
		fmt.Printf("lab %s reaper %d\n", l.id, l.reaper.cmd.Process.Pid)
		select {}
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root for network namespaces")
	}
	for _, reaperToo := range []bool{false, true} {
		victim := exec.Command(os.Args[0], "-test.run=^TestKilledLabLeavesNothing$", "-test.v")
		victim.Env = append(os.Environ(), "PICKET_LAB_VICTIM=1")
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
			if _, said, ok := strings.Cut(string(buf[:n]), "lab "); ok {
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
			if err := removeLeftovers(); err != nil {
				t.Fatal(err)
			}
		}
		gone(t, id)
	}
}

// gone waits until nothing of a lab is left.
func gone(t *testing.T, id string) {
	t.Helper()
	eventually(t, 5*time.Second, "lab "+id+" removed", func() bool {
		left := 0
		for _, r := range roles() {
			if _, err := os.Stat("/run/netns/" + namespace(r, id)); err == nil {
				left++
			}
		}
		if _, err := os.Stat(home + id); err == nil {
			left++
		}
		return left == 0
	})
}
