// SPDX-License-Identifier: MIT

package daemon

import (
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
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

// Blocks raise the limit in steps, and their end lowers it.
func TestCeiling(t *testing.T) {
	was := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(was) })
	c := ceiling{base: 1 << 40, blocks: -1}
	for _, step := range []struct{ blocks, room int }{
		{0, room}, {1, room}, {room, room}, {room + 1, 2*room + 1}, {room, 2*room + 1}, {0, room}, {100_000, 100_000 + room},
	} {
		c.fits(step.blocks)
		if got, want := debug.SetMemoryLimit(-1), int64(1<<40+step.room*blockMemory); got != want {
			t.Errorf("%d blocks: limit for %d, want %d", step.blocks, (got-1<<40)/blockMemory, step.room)
		}
	}
	debug.SetMemoryLimit(was)
	new(ceiling).fits(100_000) // of somebody else's limit
	if got := debug.SetMemoryLimit(-1); got != was {
		t.Errorf("the environment's limit is %d now", got)
	}
}
