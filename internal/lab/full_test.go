// SPDX-License-Identifier: MIT

package lab

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// plainBinary is the program without the race detector, for measurements of memory.
func plainBinary(t testing.TB) string {
	t.Helper()
	if !raced() {
		return os.Getenv(binaryEnv)
	}
	binary := filepath.Join(t.TempDir(), "picket")
	build := exec.Command("go", "build", "-C", "../..", "-buildvcs=false", "-o", binary, "./cmd/picket")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build picket: %v\n%s", err, out)
	}
	return binary
}

// memory returns a line of a daemon's /proc/PID/status in MiB: VmRSS, or VmHWM, the maximum
// since forgetPeak.
func memory(t testing.TB, d *Daemon, line string) float64 {
	t.Helper()
	for l := range strings.Lines(read(t, "/proc", strconv.Itoa(d.cmd.Process.Pid), "status")) {
		if f := strings.Fields(l); f[0] == line+":" {
			kib, err := strconv.ParseFloat(f[1], 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib / 1024
		}
	}
	t.Fatalf("no line %s", line)
	return 0
}

// forgetPeak resets VmHWM to what the daemon has now (proc_pid_clear_refs(5)).
func forgetPeak(t testing.TB, d *Daemon) {
	t.Helper()
	write(t, fmt.Sprintf("/proc/%d/clear_refs", d.cmd.Process.Pid), "5", 0)
}

// blockMany blocks n addresses by hand, from 11.0.0.0 on.
func blockMany(t testing.TB, d *Daemon, n int) {
	t.Helper()
	for from := 0; from < n; from += 65536 {
		var list strings.Builder
		for i := from; i < min(n, from+65536); i++ {
			fmt.Fprintln(&list, netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}))
		}
		file := filepath.Join(t.TempDir(), "list")
		write(t, file, list.String(), 0o600)
		if _, err := d.Cmd("block", "--for", "1d", "--file", file); err != nil {
			t.Fatal(err)
		}
	}
}

// A full set of blocks is listed, restored after a reboot, and kept at a stop. The list takes
// almost no memory.
func TestFullBook(t *testing.T) {
	l := newLab(t)
	const n = 1 << 18
	config := fmt.Sprintf("block.max = %d\n", n)
	d, err := Start(l.Target, Options{Binary: plainBinary(t), Config: config})
	if err != nil {
		t.Fatal(err)
	}
	blockMany(t, d, n)
	for _, state := range []string{"made", "restored"} {
		eventually(t, time.Minute, "all blocks "+state, func() bool {
			out, err := d.Cmd("status", "--json")
			return err == nil && strings.Contains(out, fmt.Sprintf(`"blocks": %d`, n))
		})
		before := memory(t, d, "VmRSS")
		forgetPeak(t, d)
		began := time.Now()
		list, err := d.Cmd("blocks", "--json")
		took := time.Since(began)
		more := memory(t, d, "VmHWM") - before
		t.Logf("%s: %.1f MiB, listed in %v with %.1f MiB more", state, before, took, more)
		if got := strings.Count(list, `"source"`); err != nil || got != n {
			t.Fatalf("%d of %d are listed: %v", got, n, err)
		}
		if more > 32 {
			t.Errorf("the list takes %.1f MiB", more)
		}
		began = time.Now()
		if err := d.Stop(); err != nil { // it ends within its time limit
			t.Fatal(err)
		}
		t.Logf("stopped in %v", time.Since(began))
		if state == "restored" {
			break
		}
		if _, err := l.Target.Run("nft", "delete", "table", "inet", "picket"); err != nil { // a reboot
			t.Fatal(err)
		}
		if d, err = d.Again(); err != nil {
			t.Fatal(err)
		}
	}
}
