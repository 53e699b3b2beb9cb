// SPDX-License-Identifier: MIT

package daemon

import (
	"math"
	"os"
	"path/filepath"
	"testing"
)

// The least limit of a control group and of those above it holds.
func TestGranted(t *testing.T) {
	root := t.TempDir()
	group := filepath.Join(root, "system.slice", "picket.service")
	if err := os.MkdirAll(group, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, "cgroup")
	write(t, file, "0::/system.slice/picket.service\n")
	ask := func(want int64) {
		t.Helper()
		if got := granted(root, file); got != want {
			t.Errorf("%d is granted, want %d", got, want)
		}
	}
	ask(math.MaxInt64)
	write(t, filepath.Join(group, "memory.max"), "max\n")
	ask(math.MaxInt64)
	write(t, filepath.Join(root, "system.slice", "memory.max"), "67108864\n")
	ask(64 << 20)
	write(t, filepath.Join(group, "memory.max"), "33554432\n")
	ask(32 << 20)
	write(t, file, "4:memory:/elsewhere\n")
	ask(math.MaxInt64)
}
