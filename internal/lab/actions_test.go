// SPDX-License-Identifier: MIT

package lab

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"picket/internal/control"
)

// beside is a configuration with every action on. Their files are in dir.
func beside(dir string) string {
	return fmt.Sprintf(`
[run]
command = ["/usr/bin/tee", "-a", "%[1]s/began"]
end = ["/usr/bin/tee", "-a", "%[1]s/ended"]
unproven = true
queue = 65536
[route]
type = "unreachable"
unproven = true
[hosts_deny]
line = "ALL: $TARGET$ : DENY"
file = "%[1]s/hosts.deny"
[history]
file = "%[1]s/history"
format = "portsentry-1"
blocked = "%[1]s/blocked"
`, dir)
}

// hostsDeny is somebody's hosts.deny, without a last newline.
const hostsDeny = "# mine\nsshd: 203.0.113.7\nALL: PARANOID"

func writeHostsDeny(t testing.TB, dir string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "hosts.deny"), []byte(hostsDeny), 0o640); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(b)
}

func write(t testing.TB, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// traces is everything that picket may leave on a host: rules, routes and sets, and hosts.deny
// with its mode.
func traces(t testing.TB, h *Host, dir string) string {
	t.Helper()
	var b strings.Builder
	// Without the sets of elements that live for seconds.
	for _, command := range []string{
		"ip -4 rule", "ip -6 rule", "ip -4 route show table all", "ip -6 route show table all",
		"nft -s -t list ruleset",
		"for s in blocked4 blocked6 blocked_nets4 blocked_nets6; do nft -s list set inet picket $s " +
			"2>/dev/null || true; done",
		"ls -l --time-style=+ " + dir + "/hosts.deny",
	} {
		out, err := h.Run("sh", "-c", command)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(out)
	}
	return b.String() + read(t, dir, "hosts.deny")
}

// TestActions follows a block of each family through every action, and through its end.
func TestActions(t *testing.T) {
	l := newLab(t)
	dir := t.TempDir()
	writeHostsDeny(t, dir)
	untouched := traces(t, l.Target, dir)
	d := begin(t, l.Target, Options{Config: hotConfig + beside(dir)})
	before := traces(t, l.Target, dir)
	for _, f := range []struct {
		src, dst netip.Addr
		deny     string
		route    []string
	}{
		{Source4(1), l.Target.V4, "ALL: 192.0.2.11 : DENY\n", []string{"-4", "route", "get", "192.0.2.11"}},
		{Source6(1), l.Target.V6, "ALL: [2001:db8:0:11::1] : DENY\n",
			[]string{"-6", "route", "get", "2001:db8:0:11::1"}},
	} {
		witness(t, l, d, f.src, f.dst)
		eventually(t, 3*time.Second, "a line in hosts.deny",
			func() bool { return strings.Contains(read(t, dir, "hosts.deny"), f.deny) })
		eventually(t, 3*time.Second, "a route to nowhere", func() bool {
			_, err := l.Target.Run("ip", f.route...)
			return err != nil && strings.Contains(err.Error(), "No route to host")
		})
		eventually(t, 3*time.Second, "the command's run",
			func() bool { return strings.Contains(read(t, dir, "began"), `"source":"`+f.src.String()+`"`) })
		for _, file := range []string{"history", "blocked"} {
			eventually(t, 3*time.Second, "a line in "+file, func() bool {
				return strings.Contains(read(t, dir, file), fmt.Sprintf(" Host: %[1]s/%[1]s Port: ", f.src))
			})
		}
	}
	for _, src := range []netip.Addr{Source4(1), Source6(1)} {
		eventually(t, 3*blockFor, "the command of the end", func() bool {
			return strings.Contains(read(t, dir, "ended"), `"event":"expire"`) &&
				strings.Contains(read(t, dir, "ended"), src.String())
		})
	}
	eventually(t, 3*time.Second, "everything as before",
		func() bool { return traces(t, l.Target, dir) == before })

	// An element that somebody else has added is a block like any other.
	if _, err := l.Target.Run("nft",
		"add element inet picket blocked4 { 198.51.100.77 timeout 1h }"); err != nil {
		t.Fatal(err)
	}
	eventually(t, 3*time.Second, "what stands beside a block that somebody added", func() bool {
		out, err := l.Target.Run("ip", "route", "show", "table", "7112")
		return err == nil && strings.Contains(out, "198.51.100.77") &&
			strings.Contains(read(t, dir, "hosts.deny"), "198.51.100.77 ") &&
			strings.Contains(read(t, dir, "began"), "198.51.100.77")
	})
	if _, err := l.Target.Run("nft", "delete element inet picket blocked4 { 198.51.100.77 }"); err != nil {
		t.Fatal(err)
	}
	eventually(t, 3*time.Second, "everything as before",
		func() bool { return traces(t, l.Target, dir) == before })

	// Four ways to end blocks: by hand, all at once, by a reload without the sections, by
	// removal.
	witness(t, l, d, Source4(2), l.Target.V4)
	eventually(t, 3*time.Second, "a line",
		func() bool { return strings.Contains(read(t, dir, "hosts.deny"), "192.0.2.12 ") })
	if _, err := d.Cmd("unblock", "--all"); err != nil {
		t.Fatal(err)
	}
	eventually(t, 3*time.Second, "everything as before",
		func() bool { return traces(t, l.Target, dir) == before })

	if err := d.Reload(longConfig() + beside(dir)); err != nil {
		t.Fatal(err)
	}
	witness(t, l, d, Source4(3), l.Target.V4)
	eventually(t, 3*time.Second, "a line",
		func() bool { return strings.Contains(read(t, dir, "hosts.deny"), "192.0.2.13 ") })
	if err := d.Reload(longConfig()); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "no line and no rule", func() bool {
		rules, err := l.Target.Run("ip", "rule")
		return err == nil && read(t, dir, "hosts.deny") == hostsDeny && !strings.Contains(rules, "7112")
	})
	if err := d.Reload(longConfig() + beside(dir)); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "the line again, of the block that stands", func() bool {
		return strings.Contains(read(t, dir, "hosts.deny"), "192.0.2.13 ")
	})
	if out, err := d.Cmd("remove"); err != nil || !strings.Contains(out, "removed") {
		t.Errorf("remove: %q, %v", out, err)
	}
	if diff := cmp.Diff(untouched, traces(t, l.Target, dir)); diff != "" {
		t.Errorf("picket remove left something (-before +after):\n%s", diff)
	}
	if !strings.Contains(read(t, dir, "ended"), `"reason":"picket remove"`) {
		t.Error("picket remove did not run run.end")
	}
}

// TestActionsOutliveTheDaemon: routes, lines and files stay while the daemon is away. After its
// return it repairs what has changed, and no command runs twice.
func TestActionsOutliveTheDaemon(t *testing.T) {
	l := newLab(t)
	dir := t.TempDir()
	writeHostsDeny(t, dir)
	d := begin(t, l.Target, Options{Config: longConfig() + beside(dir)})
	witness(t, l, d, Source4(1), l.Target.V4)
	witness(t, l, d, Source4(2), l.Target.V4)
	eventually(t, 3*time.Second, "both lines and routes", func() bool {
		out, err := l.Target.Run("ip", "route", "show", "table", "7112")
		deny := read(t, dir, "hosts.deny")
		return err == nil && strings.Contains(out, "192.0.2.11") && strings.Contains(out, "192.0.2.12") &&
			strings.Contains(deny, "192.0.2.11 ") && strings.Contains(deny, "192.0.2.12 ") &&
			strings.Count(read(t, dir, "began"), "\n") == 2
	})
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	if out, err := l.Target.Run("ip", "route", "show", "table", "7112"); err != nil ||
		!strings.Contains(out, "192.0.2.12") {
		t.Errorf("routes of a stopped picket: %q, %v", out, err)
	}
	// Meanwhile the routes are lost and a line is changed.
	if _, err := l.Target.Run("ip", "route", "flush", "table", "7112"); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "hosts.deny"),
		strings.Replace(read(t, dir, "hosts.deny"), "192.0.2.12 ", "192.0.2.99 ", 1), 0o640)
	d = start(t, l.Target, Options{Config: longConfig() + beside(dir)})
	eventually(t, 5*time.Second, "what the blocks say", func() bool {
		out, err := l.Target.Run("ip", "route", "show", "table", "7112")
		deny := read(t, dir, "hosts.deny")
		return err == nil && strings.Contains(out, "192.0.2.11") && strings.Contains(out, "192.0.2.12") &&
			!strings.Contains(deny, "192.0.2.99") && strings.Contains(deny, "192.0.2.11 ") &&
			strings.Contains(deny, "192.0.2.12 ")
	})
	if n := strings.Count(read(t, dir, "began"), "\n"); n != 2 {
		t.Errorf("%d commands for two blocks", n)
	}
	if _, err := d.Cmd("unblock", "--all"); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "everything undone", func() bool {
		out, err := l.Target.Run("ip", "route", "show", "table", "7112")
		return (err != nil || out == "") && read(t, dir, "hosts.deny") == hostsDeny &&
			strings.Count(read(t, dir, "ended"), "\n") == 2
	})
}

// TestThousandsOfBlocks: after thousands of blocks of both families with every action on, all
// of them expired, nothing is left, not one byte.
func TestThousandsOfBlocks(t *testing.T) {
	l := newLab(t)
	dir := t.TempDir()
	writeHostsDeny(t, dir)
	untouched := traces(t, l.Target, dir)
	d, err := Start(l.Target, Options{Config: longConfig() + beside(dir), Binary: plain(t)})
	if err != nil {
		t.Fatal(err)
	}
	before := traces(t, l.Target, dir)

	blocks, length := 10000, 15*time.Second
	if raced() {
		blocks = 3000 // the test itself is slow then
	}
	socket := filepath.Join(d.dir, "run", "control.sock")
	began := time.Now()
	var callers sync.WaitGroup
	for caller := range 4 {
		callers.Go(func() {
			for i := caller; i < blocks; i += 4 {
				source := fmt.Sprintf("198.18.%d.%d", i/200, 1+i%200) // RFC 2544
				if i%2 == 1 {
					source = fmt.Sprintf("2001:db8:%x::1", i)
				}
				req := control.Request{Command: "block", Source: source, For: length.String(),
					Reason: "one of thousands"}
				if err := control.Call(socket, req, nil); err != nil {
					t.Errorf("block %s: %v", source, err)
					return
				}
			}
		})
	}
	callers.Wait()
	t.Logf("blocked %d in %v", blocks, time.Since(began))
	if list, err := d.Blocks(); err != nil || len(list) != blocks {
		t.Fatalf("%d blocks, %v: the machine is too slow for this test", len(list), err)
	}
	eventually(t, length, "all routes and all lines", func() bool {
		out, err := l.Target.Run("sh", "-c",
			"(ip route show table 7112; ip -6 route show table 7112) | wc -l")
		return err == nil && strings.TrimSpace(out) == fmt.Sprint(blocks) &&
			strings.Count(read(t, dir, "hosts.deny"), "DENY") == blocks
	})
	t.Logf("routes and hosts.deny complete after %v", time.Since(began))
	eventually(t, 2*time.Minute, "all undone", func() bool {
		return read(t, dir, "hosts.deny") == hostsDeny && strings.Count(read(t, dir, "ended"), "\n") == blocks
	})
	t.Logf("all undone after %v", time.Since(began))
	eventually(t, 10*time.Second, "everything as before",
		func() bool { return traces(t, l.Target, dir) == before })
	if diff := cmp.Diff(before, traces(t, l.Target, dir)); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
	for _, file := range []string{"began", "ended"} {
		sources := map[string]bool{}
		for line := range strings.Lines(read(t, dir, file)) {
			var e struct{ Source string }
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatalf("%s: %v: %s", file, err, line)
			}
			sources[e.Source] = true
		}
		if len(sources) != blocks {
			t.Errorf("%s: %d sources", file, len(sources))
		}
	}
	if _, err := d.Cmd("remove"); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(untouched, traces(t, l.Target, dir)); diff != "" {
		t.Errorf("after remove (-before +after):\n%s", diff)
	}
}

// plain returns a picket without the race detector: with it, twenty thousand commands take
// minutes.
func plain(t *testing.T) string {
	t.Helper()
	if !raced() {
		return os.Getenv(binaryEnv)
	}
	path := filepath.Join(t.TempDir(), "picket")
	if out, err := exec.Command("go", "build", "-C", "../..", "-buildvcs=false", "-o", path,
		"./cmd/picket").CombinedOutput(); err != nil {
		t.Fatalf("build picket: %v\n%s", err, out)
	}
	return path
}
