// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"picket/internal/control"
)

// A terminal is one of 80 columns by 24 lines with a shell in it, by tmux.
type terminal struct {
	t      *testing.T
	socket string
}

func newTerminal(t *testing.T, env ...string) *terminal {
	t.Helper()
	x := &terminal{t, filepath.Join(t.TempDir(), "tmux")}
	cmd := exec.Command("tmux", "-S", x.socket, "-f", "/dev/null", "new-session", "-d", "-x", "80", "-y",
		"24", "sh")
	cmd.Env = append(os.Environ(), append(env, "LC_ALL=C.UTF-8", "TERM=xterm", "PS1=$ ", "ENV=")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tmux: %v: %s", err, out)
	}
	t.Cleanup(func() { x.tmux("kill-server") })
	return x
}

func (x *terminal) tmux(args ...string) string {
	x.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-S", x.socket}, args...)...).CombinedOutput()
	if err != nil {
		x.t.Errorf("tmux %v: %v: %s", args, err, out)
	}
	return string(out)
}

// keys types keys, named as in tmux.
func (x *terminal) keys(keys ...string) {
	x.t.Helper()
	x.tmux(append([]string{"send-keys"}, keys...)...)
}

// shows waits until the screen has a text.
func (x *terminal) shows(want string) string {
	x.t.Helper()
	re, screen := regexp.MustCompile(want), ""
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if screen = x.tmux("capture-pane", "-p"); re.MatchString(screen) {
			return screen
		}
	}
	x.t.Fatalf("the screen lacks %q:\n%s", want, screen)
	return ""
}

// whole checks that the terminal is restored: the first screen, the cursor, line mode, and
// echo.
func (x *terminal) whole() {
	x.t.Helper()
	x.shows(`over`)
	if got := strings.TrimSpace(x.tmux("display-message", "-p",
		"#{alternate_on} #{cursor_flag}")); got != "0 1" {
		x.t.Errorf("other screen, cursor: %s, want 0 1", got)
	}
	x.keys("clear; stty -a", "Enter")
	got := x.shows(`\becho\b[\s\S]*\$ $|\becho\b`)
	on := func(name string) bool { return regexp.MustCompile(`[^-]\b` + name + `\b`).MatchString(got) }
	if !on("icanon") || !on("echo") {
		x.t.Errorf("the terminal is left like this:\n%s", got)
	}
}

// aDaemon answers on the control socket of a folder. It has one source, which is blocked until
// it is unblocked.
func aDaemon(t *testing.T, dir string) (asked func() []string) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(dir, "control.sock"))
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var orders []string
	began := time.Now()
	blocks := []control.Block{{Name: "192.0.2.9", Response: "dark", Since: began,
		Expires: began.Add(time.Hour), Reason: "above the trigger"}}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- control.Serve(ctx, l, func(r control.Request) (any, error) {
			mu.Lock()
			defer mu.Unlock()
			switch r.Command {
			case "status":
				return &control.Status{Version: "test", Pid: 7, Probes: 30, Sources: 1,
					Blocks: len(blocks)}, nil
			case "sources":
				return []control.Source{{Name: "192.0.2.9", Probes: 30, Tool: "nmap", First: began,
					Last: began}}, nil
			case "blocks":
				return blocks, nil
			case "explain":
				return &control.Explanation{Source: r.Source, Summary: r.Source +
					" is blocked for another while."}, nil
			}
			orders, blocks = append(orders, r.Command+" "+strings.Join(r.Sources, " ")), nil
			return []control.Outcome{{Name: "192.0.2.9"}}, nil
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return orders
	}
}

// On a terminal top shows scanners, explains one, ends its blocks after a confirmation, and
// restores the terminal however it ends.
func TestTop(t *testing.T) {
	dir := t.TempDir()
	asked := aDaemon(t, dir)
	x := newTerminal(t, "RUNTIME_DIRECTORY="+dir)
	x.keys("clear; picket top; echo ov''er", "Enter")
	x.shows(`1 sources 1 +2 blocks 1 [\s\S]*192\.0\.2\.9 `)
	x.keys("2", "Enter")
	x.shows(`192\.0\.2\.9 is blocked for another while`)
	x.keys("u")
	x.shows(`end the blocks of 192\.0\.2\.9\?`)
	x.keys("y")
	x.shows(`unblocked 192\.0\.2\.9`)
	x.keys("Escape")
	x.shows("nobody is blocked") // an escape followed at once by a key is another key
	x.keys("3")
	x.shows(`192\.0\.2\.9 +dark has ended`)
	x.tmux("resize-window", "-x", "60", "-y", "10")
	x.keys("q")
	x.whole()
	if got := strings.Join(asked(), ", "); got != "unblock 192.0.2.9" {
		t.Errorf("the daemon was asked to %s", got)
	}
	pid := filepath.Join(dir, "pid")
	for _, signal := range []string{"TERM", "INT", "HUP"} {
		x.keys("clear; sh -c 'echo $$ >"+pid+"; exec picket top'; echo ov''er", "Enter")
		x.shows("1 sources")
		x.tmux("run-shell", "kill -"+signal+" $(cat "+pid+")")
		x.whole()
	}
}
