// SPDX-License-Identifier: MIT

package lab

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestDemo: the story of "picket demo" is true: the server answers, the scanner is blocked,
// others are served, and after an unblock the scanner gets in again.
func TestDemo(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root for network namespaces")
	}
	out, err := exec.Command(os.Getenv(binaryEnv), "demo").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const yes, no = " an answer", " nothing: the kernel drops it"
	want := []string{"192.0.2.11" + yes, "192.0.2.11" + no, "192.0.2.12" + yes, "192.0.2.11" + yes}
	var got []string
	for line := range strings.Lines(string(out)) {
		if a := strings.Join(strings.Fields(line), " "); strings.HasSuffix(a, yes) ||
			strings.HasSuffix(a, no) {
			got = append(got, a)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q; want %q in:\n%s", got, want, out)
	}
}

// TestTerminalIsNotAsked: a command writes its answer to a terminal at once, and no query
// sequence before it, although a library of another command would send one.
func TestTerminalIsNotAsked(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "script", "--quiet", "--return", "--command",
		os.Getenv(binaryEnv)+" version",
		"/dev/null")
	cmd.Env = append(os.Environ(), "TERM=xterm-256color")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "picket ") || strings.Contains(string(out), "\x1b") {
		t.Errorf("%q, %v", out, err)
	}
}
