// SPDX-License-Identifier: MIT

package confine

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const inside = "PICKET_TEST_CONFINED"

// TestMain is the process under the filter too: nothing takes it off again.
func TestMain(m *testing.M) {
	if dir := os.Getenv(inside); dir != "" {
		if err := confined(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestFilter: under the filter ordinary life goes on, in threads from before and after it, and
// what picket has no need of fails with EPERM.
func TestFilter(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), inside+"="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func confined(dir string) error {
	// Threads from before the filter, held until it is there.
	var threads, there sync.WaitGroup
	release, failed := make(chan struct{}), make(chan error, 100)
	for range 8 {
		there.Add(1)
		threads.Go(func() {
			runtime.LockOSThread() // and it ends with its goroutine
			there.Done()
			<-release
			failed <- refused()
		})
	}
	there.Wait()
	if err := Here(); err != nil {
		return err
	}
	if Needed() {
		return errors.New("no filter is there")
	}
	close(release)
	for range 8 { // and from after it
		threads.Go(func() {
			runtime.LockOSThread()
			failed <- errors.Join(refused(), allowed(dir))
		})
	}
	threads.Wait()
	close(failed)
	for err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

// refused returns an error if something went well, or failed otherwise than with EPERM.
func refused() error {
	_, _, fork := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	_, _, clone3 := unix.RawSyscall(unix.SYS_CLONE3, 0, 0, 0)
	_, err := os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{})
	for name, err := range map[string]error{
		"fork": fork, "start a program": err,
		"execve": unix.Exec("/bin/true", []string{"true"}, nil),
		"mount":  unix.Mount("none", "/mnt", "tmpfs", 0, ""), "unshare": unix.Unshare(unix.CLONE_NEWNET),
		"setns": unix.Setns(0, 0), "ptrace": unix.PtraceAttach(1), "setuid": unix.Setuid(0),
		"module": unix.DeleteModule("none", 0),
		"memfd":  func() error { _, err := unix.MemfdCreate("x", 0); return err }(),
	} {
		if !errors.Is(err, unix.EPERM) {
			return fmt.Errorf("%s: %v, want EPERM", name, err)
		}
	}
	if clone3 != unix.ENOSYS {
		return fmt.Errorf("clone3: %v, want ENOSYS, on which the C library makes threads by clone", clone3)
	}
	return nil
}

// allowed does a little of all that a running picket does.
func allowed(dir string) error {
	f, err := os.CreateTemp(dir, "")
	if err != nil {
		return err
	}
	_, err = f.WriteString("state")
	err = errors.Join(err, f.Sync(), f.Chmod(0o600), f.Close(), os.Rename(f.Name(), f.Name()+".new"))
	if b, read := os.ReadFile(f.Name() + ".new"); string(b) != "state" {
		err = errors.Join(err, read, fs.ErrInvalid)
	}
	l, listen := net.Listen("tcp", "127.0.0.1:0")
	if listen != nil {
		return errors.Join(err, listen)
	}
	defer l.Close()
	c, dial := net.DialTimeout("tcp", l.Addr().String(), 10*time.Second)
	if dial != nil {
		return errors.Join(err, dial)
	}
	c.Close()
	netlink, socket := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if socket == nil {
		unix.Close(netlink)
	}
	runtime.GC()
	host, name := os.Hostname()
	if strings.TrimSpace(host) == "" {
		err = errors.Join(err, name)
	}
	return errors.Join(err, socket, os.Remove(filepath.Join(f.Name()+".new")))
}
