// SPDX-License-Identifier: MIT

package lab

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestDemo: the story of "picket demo" comes true: the server answers, the scanner is blocked,
// others are served, and an unblock lets it in again.
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
