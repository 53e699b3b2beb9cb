// SPDX-License-Identifier: MIT

package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

// TestMain builds the picket of the tests, with the race detector if the tests have it.
func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if os.Geteuid() != 0 {
		return m.Run() // each test says so without root
	}
	dir, err := os.MkdirTemp("", "picket-lab-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // other users run it too
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	binary := filepath.Join(dir, "picket")
	args := []string{"build", "-C", "../..", "-buildvcs=false", "-o", binary}
	if raced() {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, "./cmd/picket")...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build picket: %v\n%s", err, out)
		return 1
	}
	os.Setenv(binaryEnv, binary)
	os.Setenv("GORACE", "atexit_sleep_ms=0") // or a raced picket takes a second to end
	return m.Run()
}

// binaryEnv passes the program from TestMain to the tests.
const binaryEnv = "PICKET_LAB_BINARY"

// raced reports whether this test binary was built with the race detector.
func raced() bool {
	info, _ := debug.ReadBuildInfo()
	for _, s := range info.Settings {
		if s.Key == "-race" {
			return s.Value == "true"
		}
	}
	return false
}

// newLab returns a lab that ends with the test.
func newLab(t testing.TB) *Lab {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root for network namespaces")
	}
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// start starts picket on a host and stops it with the test.
func start(t testing.TB, h *Host, o Options) *Daemon {
	t.Helper()
	d := begin(t, h, o)
	t.Cleanup(func() {
		if err := d.Stop(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// begin starts picket; the test ends it. If the test fails, it shows picket's output.
func begin(t testing.TB, h *Host, o Options) *Daemon {
	t.Helper()
	o.Binary = os.Getenv(binaryEnv)
	d, err := Start(h, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			said := d.Events()
			t.Logf("picket said, at last:\n%s", strings.Join(said[max(0, len(said)-20):], "\n"))
		}
	})
	return d
}

// listen starts a service that ends with the test.
func listen(t testing.TB, h *Host, network string, port uint16) *Service {
	t.Helper()
	s, err := h.Listen(network, port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// eventually polls until ok holds.
func eventually(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(pollEvery) {
		if time.Now().After(end) {
			t.Fatalf("not after %v: %s", limit, what)
		}
	}
}
