// SPDX-License-Identifier: MIT

package memory

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"
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
	c := Ceiling{base: 1 << 40, blocks: -1}
	for _, step := range []struct{ blocks, room int }{
		{0, room}, {1, room}, {room, room}, {room + 1, 2*room + 1}, {room, 2*room + 1}, {0, room},
		{100_000, 100_000 + room},
	} {
		c.Fits(step.blocks)
		if got, want := debug.SetMemoryLimit(-1), int64(1<<40+step.room*blockMemory); got != want {
			t.Errorf("%d blocks: limit for %d, want %d", step.blocks, (got-1<<40)/blockMemory, step.room)
		}
	}
	debug.SetMemoryLimit(was)
	new(Ceiling).Fits(100_000) // of somebody else's limit
	if got := debug.SetMemoryLimit(-1); got != was {
		t.Errorf("the environment's limit is %d now", got)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Bind sets a limit that blocks raise. A limit of the environment stays.
func TestBind(t *testing.T) {
	limit, percent := debug.SetMemoryLimit(-1), debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetMemoryLimit(limit); debug.SetGCPercent(percent) })
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	Bind(1)
	if got, want := debug.SetMemoryLimit(-1), int64(16<<20+room*blockMemory); got != want {
		t.Errorf("the least limit is %d, want %d", got, want)
	}
	Bind(64 << 20) // with the file and the blocks that there is room for
	if got, want := debug.SetMemoryLimit(-1)+beside, int64(64<<20); got != want {
		t.Errorf("the process may take %d, want %d", got, want)
	}
	if got := debug.SetGCPercent(100); got != collect {
		t.Errorf("garbage is collected at %d %%, want %d", got, collect)
	}
	t.Setenv("GOGC", "100")
	t.Setenv("GOMEMLIMIT", "1GiB")
	debug.SetMemoryLimit(1 << 30)
	c := Bind(1)
	c.Fits(100_000)
	if got := debug.SetMemoryLimit(-1); got != 1<<30 || debug.SetGCPercent(100) != 100 {
		t.Errorf("the environment's limit is %d now", got)
	}
}

// The memory of the start is given back at its time. An earlier end does not wait for it.
func TestGiveBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if err := GiveBack(t.Context()); err != nil || time.Since(began) != startIsOver {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began = time.Now()
		if err := GiveBack(ctx); err != nil || time.Since(began) != 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}
