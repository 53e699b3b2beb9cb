// SPDX-License-Identifier: MIT

package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"picket/internal/event"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var sample = event.Event{
	Event: "block", Time: time.Unix(1795391544, 0).UTC(), Source: "192.0.2.1",
	Destination: netip.MustParseAddr("198.51.100.1"),
	Protocol:    "tcp", Port: 11, Mode: "stealth", Technique: "syn", Pattern: "portscan",
	Ports:  []string{"tcp/1", "tcp/11"},
	Action: "block", For: event.Seconds(10 * time.Minute), Reason: "two ports; $(reboot) `reboot`",
}

func parse(t *testing.T, argv ...string) Command {
	t.Helper()
	c, err := Parse(argv)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestParse(t *testing.T) {
	for name, argv := range map[string][]string{
		"a relative path": {"script"}, "a token as program": {"/$TARGET$"},
		"an unknown token": {"/bin/true", "$TARGT$"},
		"a zero byte":      {"/bin/true", "a\x00b"},
		"too much":         append([]string{"/bin/true"}, make([]string, maxArgs)...),
	} {
		if _, err := Parse(argv); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if c, err := Parse(nil); err != nil || !c.IsZero() {
		t.Errorf("no command: %v, %v", c, err)
	}
	if err := parse(t, "/bin/true").Check(); err != nil {
		t.Error(err)
	}
	if err := parse(t, "/nonexistent/hook").Check(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a program that is not there: %v", err)
	}
	if err := parse(t, "/etc/passwd").Check(); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a program that is none: %v", err)
	}
}

func TestArgv(t *testing.T) {
	c := parse(t, "/bin/x", "$TARGET$", "--at=$TARGET$:$PORT$", "$MODE$$PROTOCOL$", "$PATTERN$", "$HOME",
		"${PORT}", "a b;c")
	want := []string{"/bin/x", "192.0.2.1", "--at=192.0.2.1:11", "stealthtcp", "portscan", "$HOME", "${PORT}",
		"a b;c"}
	if d := cmp.Diff(want, c.Argv(sample)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	want = []string{"/bin/x", "-", "--at=-:0", "--", "-", "$HOME", "${PORT}", "a b;c"}
	if d := cmp.Diff(want, c.Argv(event.Event{})); d != "" {
		t.Errorf("an empty event (-want +got):\n%s", d)
	}
	e := sample
	e.Source = "$PORT$ ; reboot" // impossible; it would stay one word
	if got := c.Argv(e)[1]; got != e.Source {
		t.Errorf("what was put in was read again: %q", got)
	}
}

// start runs a runner until the end of the test.
func start(t *testing.T, c Config) *Runner {
	t.Helper()
	r := New(c)
	run(t, r)
	return r
}

func run(t *testing.T, r *Runner) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// result runs one command to its end.
func result(t *testing.T, r *Runner, argv ...string) Result {
	t.Helper()
	ch := make(chan Result, 1)
	if !r.Submit(parse(t, argv...), sample, func(res Result) { ch <- res }) {
		t.Fatal("refused")
	}
	select {
	case res := <-ch:
		return res
	case <-time.After(20 * time.Second):
		t.Fatal("no answer")
		return Result{}
	}
}

func TestEventReachesTheCommand(t *testing.T) {
	r := start(t, Config{})
	res := result(t, r, "/bin/cat")
	var got event.Event
	if err := json.Unmarshal([]byte(res.Output), &got); res.Err != nil || err != nil ||
		got.Source != sample.Source {
		t.Errorf("standard input: %q, %v, %v", res.Output, err, res.Err)
	}
	t.Setenv("NOTIFY_SOCKET", "/run/systemd/notify")
	t.Setenv("LISTEN_FDS", "2")
	res = result(t, r, "/usr/bin/env")
	for _, want := range []string{
		"PICKET_EVENT=block", "PICKET_SOURCE=192.0.2.1", "PICKET_PORT=11", "PICKET_PORTS=tcp/1,tcp/11",
		"PICKET_FOR_S=600",
		"PICKET_PROVEN=false", "PICKET_TIME=2026-11-22T23:52:24Z", "PICKET_REASON=" + sample.Reason,
		"PICKET_DESTINATION=198.51.100.1",
	} {
		if !strings.Contains("\n"+res.Output+"\n", "\n"+want+"\n") {
			t.Errorf("no %s in the environment:\n%s", want, res.Output)
		}
	}
	if strings.Contains(res.Output, "NOTIFY_SOCKET") || strings.Contains(res.Output, "LISTEN_FDS") {
		t.Errorf("systemd's business reached the hook:\n%s", res.Output)
	}
}

func TestFailuresAreTold(t *testing.T) {
	r := start(t, Config{Timeout: 300 * time.Millisecond})
	for _, c := range []struct {
		name, want string
		is         error
		argv       []string
	}{
		{name: "exit status", want: "exit status 3", argv: []string{"/bin/sh", "-c", "echo sorry; exit 3"}},
		{name: "status 127, which PortSentry 2 calls success", want: "exit status 127",
			argv: []string{"/bin/sh", "-c", "/nonexistent"}},
		{name: "signal", want: "signal: terminated", argv: []string{"/bin/sh", "-c", "kill -TERM $$"}},
		{name: "not found", is: fs.ErrNotExist, argv: []string{"/nonexistent/hook"}},
		{name: "not executable", is: fs.ErrPermission, argv: []string{"/etc/passwd"}},
		{name: "too slow", is: ErrTimeout, argv: []string{"/bin/sleep", "60"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := result(t, r, c.argv...)
			if res.Err == nil || !strings.Contains(res.Err.Error(), c.want) ||
				c.is != nil && !errors.Is(res.Err, c.is) {
				t.Errorf("got %v, want %q, %v", res.Err, c.want, c.is)
			}
			if c.name == "exit status" && res.Output != "sorry" {
				t.Errorf("output %q", res.Output)
			}
		})
	}
	if res := result(t, r, "/bin/true"); res.Err != nil || res.Output != "" {
		t.Errorf("success: %+v", res)
	}
}

// gone waits for the end of the process whose id is in the file.
func gone(t *testing.T, pidFile string) {
	t.Helper()
	b, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) ||
			strings.Contains(string(state), ") Z ") {
			return
		}
		if time.Now().After(deadline) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatalf("process %d is still there", pid)
		}
	}
}

func TestChildrenAreKilled(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	r := start(t, Config{Timeout: 500 * time.Millisecond})
	res := result(t, r, "/bin/sh", "-c", "trap '' TERM; sleep 600 & echo $! >"+pid+"; wait")
	if !errors.Is(res.Err, ErrTimeout) || res.Took > 5*time.Second {
		t.Errorf("%v after %v", res.Err, res.Took)
	}
	gone(t, pid)

	r = start(t, Config{Timeout: time.Minute})
	res = result(t, r, "/bin/sh", "-c", "sleep 600 & echo $! >"+pid)
	if !errors.Is(res.Err, ErrLeftOver) {
		t.Errorf("a process was left behind: %v", res.Err)
	}
	gone(t, pid)
}

func TestOutputIsBoundedAndClean(t *testing.T) {
	r := start(t, Config{Output: 10})
	res := result(t, r, "/bin/sh", "-c", "head -c 10000000 /dev/zero | tr '\\0' x; echo done >&2")
	if res.Err != nil || res.Output != "xxxxxxxxxx" || !res.Cut {
		t.Errorf("%q, cut %v, %v", res.Output, res.Cut, res.Err)
	}
	r = start(t, Config{})
	res = result(t, r, "/usr/bin/printf", `a\033[2Jb\nc\377\342\200\256d\n`)
	if want := "a?[2Jb\nc??d"; res.Output != want || res.Cut {
		t.Errorf("%q, want %q", res.Output, want)
	}
}

func TestNeverBlocksAndStaysBounded(t *testing.T) {
	dir := t.TempDir()
	r := New(Config{Parallel: 3, Queue: 5})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	c := parse(t, "/bin/sh", "-c", "echo >"+dir+"/$$; sleep 600")
	results := make(chan Result, 1000)
	taken := 0
	for range 3 { // the three running
		if !r.Submit(c, sample, func(res Result) { results <- res }) {
			t.Fatal("refused though nothing waits")
		}
		taken++
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if list, _ := os.ReadDir(dir); len(list) == 3 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("they do not run")
		}
	}
	begin := time.Now()
	for range 500 {
		if r.Submit(c, sample, func(res Result) { results <- res }) {
			taken++
		}
	}
	if took := time.Since(begin); took > time.Second {
		t.Errorf("500 calls took %v", took)
	}
	if taken != 8 || r.Refused() != 495 {
		t.Errorf("%d taken, %d refused; want 3 that run and 5 that wait", taken, r.Refused())
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	stopped := 0
	for range taken {
		res := <-results // each has an answer
		if errors.Is(res.Err, ErrStopped) {
			stopped++
		} else if !errors.Is(res.Err, context.Canceled) {
			t.Errorf("one that ran: %v", res.Err)
		}
	}
	if list, _ := os.ReadDir(dir); len(list) != 3 || stopped != 5 {
		t.Errorf("%d ran, %d were stopped", len(list), stopped)
	}
	if out, err := exec.Command("pgrep", "-f", dir).Output(); err == nil {
		t.Errorf("still there: %s", out)
	}
}
