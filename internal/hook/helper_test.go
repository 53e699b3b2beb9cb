// SPDX-License-Identifier: MIT

package hook

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestMain is the helper too: its list is the lines of a file, each of words.
func TestMain(m *testing.M) {
	if len(os.Args) != 3 || os.Args[1] != "helper" {
		os.Exit(m.Run())
	}
	err := Serve(Config{}, func() (list [][]string) {
		b, _ := os.ReadFile(os.Args[2]) // an empty list tells
		for line := range strings.Lines(string(b)) {
			list = append(list, strings.Split(strings.TrimSuffix(line, "\n"), "|"))
		}
		return list
	})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// helped starts a runner with a helper whose list has these commands.
func helped(t *testing.T, listed ...string) (r *Runner, list string) {
	t.Helper()
	list = filepath.Join(t.TempDir(), "list")
	allow(t, list, listed...)
	r = New(Config{})
	if err := r.Detach("helper", list); err != nil {
		t.Fatal(err)
	}
	run(t, r)
	return r, list
}

func allow(t *testing.T, list string, listed ...string) {
	t.Helper()
	if err := os.WriteFile(list, []byte(strings.Join(listed, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A helper runs the commands of the operator's list, and nothing else, for anybody.
func TestHelper(t *testing.T) {
	r, list := helped(t, "/bin/sh|-c|echo $PPID $PICKET_FOR_S $0; cat; ls -l /proc/$$/fd|$TARGET$",
		"/bin/false")
	res := result(t, r, "/bin/sh", "-c", "echo $PPID $PICKET_FOR_S $0; cat; ls -l /proc/$$/fd",
		"$TARGET$")
	words := strings.Fields(res.Output)
	if res.Err != nil || len(words) < 4 || words[0] == strconv.Itoa(os.Getpid()) || words[1] != "600" ||
		words[2] != sample.Source || !strings.Contains(res.Output, `"event":"block"`) || res.Took == 0 ||
		strings.Contains(res.Output, "socket") {
		t.Errorf("%+v", res)
	}
	if res := result(t, r, "/bin/false"); res.Err == nil ||
		!strings.Contains(res.Err.Error(), "exit status 1") {
		t.Errorf("%+v", res)
	}
	if res := result(t, r, "/bin/true"); res.Err == nil ||
		!strings.Contains(res.Err.Error(), "not in the configuration") {
		t.Errorf("what nobody has listed: %+v", res)
	}
	allow(t, list, "/bin/true")
	if res := result(t, r, "/bin/true"); res.Err != nil {
		t.Errorf("what is listed now: %+v", res)
	}
	if res := result(t, r, "/bin/false"); res.Err == nil ||
		!strings.Contains(res.Err.Error(), "not in the configuration") {
		t.Errorf("what is listed no more: %+v", res)
	}
}

// The end of picket ends the helper and its commands. The end of the helper makes commands fail
// and holds nobody up.
func TestHelperEnds(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	command := []string{"/bin/sh", "-c", "echo $$ >" + pid + "; sleep 600"}
	running := func(r *Runner) chan Result {
		t.Helper()
		os.Remove(pid)
		ch := make(chan Result, 1)
		r.Submit(parse(t, command...), sample, func(res Result) { ch <- res })
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			if b, _ := os.ReadFile(pid); len(b) > 0 {
				return ch
			}
			if time.Now().After(deadline) {
				t.Fatal("it does not run")
			}
		}
	}
	t.Run("picket", func(t *testing.T) {
		r, _ := helped(t, strings.Join(command, "|"))
		running(r)
	})
	gone(t, pid)
	r, _ := helped(t, strings.Join(command, "|"))
	ch := running(r)
	out, err := exec.Command("pgrep", "-P", strconv.Itoa(os.Getpid())).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, child := range strings.Fields(string(out)) {
		if n, err := strconv.Atoi(child); err == nil {
			if p, err := os.FindProcess(n); err == nil {
				_ = p.Kill() // pgrep itself is among them
			}
		}
	}
	select {
	case res := <-ch:
		if !errors.Is(res.Err, errEnded) {
			t.Error(res.Err)
		}
	case <-time.After(10 * time.Second):
		t.Error("no answer")
	}
	if res := result(t, r, command...); !errors.Is(res.Err, errEnded) {
		t.Error(res.Err)
	}
	b, err := os.ReadFile(pid)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
		_ = exec.Command("kill", strconv.Itoa(n)).Run() // nobody was left to do it
	}
}
