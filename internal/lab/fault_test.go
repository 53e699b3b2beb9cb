// SPDX-License-Identifier: MIT

package lab

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// agreed tests that after a fault the kernel's sets and the book are the same.
func agreed(t *testing.T, l *Lab, d *Daemon, after string) {
	t.Helper()
	(&soak{T: t, lab: l, d: d}).agree(after)
}

// blockLines blocks n addresses by hand, from 11.0.0.0 on, unless ctx ends before.
func blockLines(t *testing.T, ctx context.Context, d *Daemon, from, n int) {
	t.Helper()
	var list strings.Builder
	for i := from; i < from+n; i++ {
		fmt.Fprintf(&list, "11.0.%d.%d\n", i>>8&255, i&255)
	}
	file := filepath.Join(t.TempDir(), "list")
	write(t, file, list.String(), 0o600)
	_ = d.command(ctx, nil, "block", "--for", "1d", "--file", file).Run() // it may be interrupted
}

// If picket is killed at any moment, during blocks too, and started again, its book has exactly
// the blocks of the kernel.
func TestKilledAtAnyMoment(t *testing.T) {
	l := newLab(t)
	d := begin(t, l.Target, Options{})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for round := range 6 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); blockLines(t, ctx, d, 2000*round, 2000) }()
		time.Sleep(time.Duration(r.IntN(150)) * time.Millisecond)
		d.Kill()
		cancel()
		<-done
		var err error
		if d, err = d.Again(); err != nil {
			t.Fatal(err)
		}
		agreed(t, l, d, "SIGKILL")
	}
	if err := d.Stop(); err != nil {
		t.Error(err)
	}
}

// A disk that is full, or read-only, is reported once and prevents no block. When there is room
// again, the blocks are saved.
func TestStateCannotBeSaved(t *testing.T) {
	for _, fault := range []struct {
		name, size string
		flags      uintptr
	}{{"full", "size=8k", 0}, {"read-only", "size=16m", unix.MS_RDONLY}} {
		t.Run(fault.name, func(t *testing.T) {
			l := newLab(t)
			d := begin(t, l.Target, Options{})
			if err := d.Stop(); err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(d.dir, "state")
			mount := func(flags uintptr, size string) {
				t.Helper()
				if err := unix.Mount("none", dir, "tmpfs", flags, size); err != nil {
					t.Fatal(err)
				}
			}
			mount(0, fault.size)
			t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
			var err error
			if d, err = d.Again(); err != nil {
				t.Fatal(err)
			}
			mount(unix.MS_REMOUNT|fault.flags, fault.size)
			const n = 300
			blockLines(t, t.Context(), d, 0, n)
			if _, err := d.WaitEvent(patience, "keeping blocks over a reboot"); err != nil {
				t.Fatal(err)
			}
			agreed(t, l, d, fault.name)
			mount(unix.MS_REMOUNT, "size=16m")
			if _, err := d.WaitEvent(patience, "keeping blocks over a reboot", "in order again"); err != nil {
				t.Fatal(err)
			}
			d.Kill() // only the file is left, as the table is gone
			if _, err := l.Target.Run("nft", "delete", "table", "inet", "picket"); err != nil {
				t.Fatal(err)
			}
			if d, err = d.Again(); err != nil {
				t.Fatal(err)
			}
			defer d.Kill()
			eventually(t, patience, "all blocks are back", func() bool {
				list, err := d.Blocks()
				return err == nil && len(list) == n
			})
			agreed(t, l, d, "a reboot")
		})
	}
}

// Without free descriptors, picket still sees and blocks. When descriptors are free again, it
// answers, and its book has the kernel's blocks.
func TestNoDescriptorLeft(t *testing.T) {
	const most = 48
	l := newLab(t)
	limit := fmt.Sprintf("--nofile=%d:%[1]d", most)
	d := start(t, l.Target, Options{Config: longConfig(), Through: []string{"prlimit", limit}})
	var held []net.Conn
	socket := filepath.Join(d.dir, "run", "control.sock")
	fds := func() int {
		list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	hold := func() {
		for range most {
			if c, err := net.DialTimeout("unix", socket, time.Second); err == nil {
				held = append(held, c)
			}
		}
	}
	hold()
	eventually(t, patience, "all descriptors are used up", func() bool { return fds() >= most-1 })
	src := Source4(1)
	send(t, l.Attacker, knock(src, l.Target.V4, 15))
	eventually(t, patience, src.String()+" is blocked", func() bool {
		out, err := l.Target.Run("nft", "list", "set", "inet", "picket", "blocked4")
		return err == nil && strings.Contains(out, src.String())
	})
	if _, err := l.Target.Run("nft", "flush", "ruleset"); err != nil { // unseen: no socket
		t.Fatal(err)
	}
	for _, c := range held {
		c.Close()
	}
	agreed(t, l, d, "there are descriptors again")
	witness(t, l, d, Source4(2), l.Target.V4)
}

// With the machine's table of open files full, so that every call that opens something fails
// with ENFILE, picket goes on to see and to block; afterwards it answers, and has booked
// what the kernel has. strace makes the calls fail, and the machine's own table stays.
func TestFileTableFull(t *testing.T) {
	l := newLab(t)
	d := start(t, l.Target, Options{Config: longConfig()})
	const calls = "socket,accept4,openat,pipe2,eventfd2,epoll_create1,timerfd_create,dup3"
	tracer := exec.Command("strace", "-f", "-qq", "-o", "/dev/null", "-p", strconv.Itoa(d.cmd.Process.Pid),
		"-e", "trace="+calls, "-e", "inject="+calls+":error=ENFILE")
	if err := tracer.Start(); err != nil {
		t.Fatal(err)
	}
	full := func() bool {
		status := read(t, "/proc", strconv.Itoa(d.cmd.Process.Pid), "status")
		return !strings.Contains(status, "\nTracerPid:\t0\n")
	}
	eventually(t, patience, "strace holds picket", full)
	asked := make(chan error, 1)
	go func() { _, err := d.Cmd("status"); asked <- err }() // it waits until somebody can accept
	src := Source4(1)
	send(t, l.Attacker, knock(src, l.Target.V4, 15))
	eventually(t, patience, src.String()+" is blocked", func() bool {
		out, err := l.Target.Run("nft", "list", "set", "inet", "picket", "blocked4")
		return err == nil && strings.Contains(out, src.String())
	})
	if _, err := l.Target.Run("nft", "flush", "ruleset"); err != nil { // and no socket is left to look with
		t.Fatal(err)
	}
	if len(asked) > 0 || !full() {
		t.Error("picket can accept a connection")
	}
	if err := tracer.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = tracer.Wait() // by the signal
	if err := <-asked; err != nil {
		t.Error(err)
	}
	agreed(t, l, d, "there is room in the table again")
	witness(t, l, d, Source4(2), l.Target.V4)
}
