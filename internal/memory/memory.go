// SPDX-License-Identifier: MIT

// Package memory bounds the memory of this process, and gives back the part that it
// does not need any more.
//
// It sets the limits of Go's runtime, which are the whole process's: one room may.
// It needs no privilege; what /proc and /sys do not tell is left as it is.
package memory

import (
	"bytes"
	"cmp"
	"context"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// beside is the part of the bound that the runtime's limit does not keep: 16 MiB of the
// program's file, once all of it has run that ever does, and 4 MiB of garbage that is made
// faster than the collector follows, when the table is put back.
const beside = 20 << 20

// collect is how much of what lives may be garbage, in percent, before it is
// collected: most of what lives never becomes any.
const collect = 20

// Bind keeps the process within so many bytes, or within what its control group
// grants if that is less, unless the environment has a limit of its own
// (GOMEMLIMIT, GOGC).
func Bind(bound int64) (c Ceiling) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collect)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		bound = min(bound, granted("/sys/fs/cgroup", "/proc/self/cgroup")/10*9)
		c.base, c.blocks = max(bound-beside-room*blockMemory, 16<<20), -1
		c.Fits(0)
	}
	return c
}

// blockMemory is what a block takes in the books of daemon and engine, some 500 bytes,
// and its part of the garbage beside them.
const blockMemory = 700

// A Ceiling is the runtime's limit of memory. Blocks raise it. The zero value
// leaves the limit alone. It is for one goroutine.
type Ceiling struct {
	base   int64 // without blocks; 0 if the limit is not ours
	blocks int   // that it has room for
}

// room is for how many more blocks there is room at once, within the bound.
const room = 4096

// Fits raises or lowers the limit to what so many blocks need. A collector that
// cannot keep to its limit would take half of the processor.
func (c *Ceiling) Fits(blocks int) {
	if c.base == 0 || blocks <= c.blocks && blocks > c.blocks-2*room {
		return
	}
	c.blocks = blocks + room
	debug.SetMemoryLimit(c.base + int64(c.blocks)*blockMemory)
}

// granted returns the least memory.max of the control group that the file names
// and of those above it (Documentation/admin-guide/cgroup-v2.rst), or a number that
// is no limit.
func granted(root, file string) int64 {
	least := int64(math.MaxInt64)
	b, _ := os.ReadFile(file) // without it there is no control group
	for line := range bytes.Lines(b) {
		group, ok := strings.CutPrefix(strings.TrimSpace(string(line)), "0::")
		for ; ok && group != "" && group != "."; group = filepath.Dir(group) {
			text, _ := os.ReadFile(filepath.Join(root, group, "memory.max"))
			if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil {
				least = min(least, n)
			}
			if group == "/" {
				break
			}
		}
	}
	return least
}

// startIsOver is when the start has left all the garbage that it leaves.
const startIsOver = 3 * time.Second

// GiveBack waits until the start is over, or ctx ends, and gives back what only the
// start needed: garbage, and the pages of the program that it ran through. The
// kernel reads a page again when it is needed again. It never fails.
func GiveBack(ctx context.Context) error {
	select {
	case <-time.After(startIsOver):
		debug.FreeOSMemory()
		forgetPages()
	case <-ctx.Done():
	}
	return nil
}

// forgetPages has the kernel take the pages of the program that nobody has
// written to.
func forgetPages() {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(maps)) {
		// proc_pid_maps(5): address perms offset dev inode pathname
		f := strings.Fields(line)
		if len(f) < 6 || f[5] != program || strings.Contains(f[1], "w") {
			continue // what was written to is ours alone
		}
		from, to, _ := strings.Cut(f[0], "-")
		start, err1 := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		if cmp.Or(err1, err2) == nil {
			// That it is not done costs some memory and nothing else.
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(start), uintptr(end-start), unix.MADV_DONTNEED)
		}
	}
}
