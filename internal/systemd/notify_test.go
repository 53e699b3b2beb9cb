// SPDX-License-Identifier: MIT

package systemd

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func notifySocket(t *testing.T) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return c
}

func receive(t *testing.T, c *net.UnixConn) (state string, control []byte) {
	t.Helper()
	b, oob := make([]byte, 4096), make([]byte, 256)
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, m, _, _, err := c.ReadMsgUnix(b, oob)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n]), oob[:m]
}

func TestNotify(t *testing.T) {
	c := notifySocket(t)
	for _, test := range []struct {
		name string
		send func() error
		want string
	}{
		{"ready", func() error { return Ready("watching") }, `READY=1\nSTATUS=watching`},
		{"reloading", Reloading, `RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]*`},
		{"status of one line", func() error { return Status("a\nREADY=1\x1b[2J\xff\u009b") },
			`STATUS=a\?READY=1\?\[2J\?\?`},
		{"stopping", func() error { return Stopping("bye") }, `STOPPING=1\nSTATUS=bye`},
		{"alive", Alive, `WATCHDOG=1`},
		{"forget", func() error { return Forget(NFLOGName(5)) }, `FDSTOREREMOVE=1\nFDNAME=nflog-5`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := test.send(); err != nil {
				t.Fatal(err)
			}
			if got, _ := receive(t, c); !regexp.MustCompile("^(?:" + test.want + ")$").MatchString(got) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// TestStore passes a descriptor on and compares the two files behind it.
func TestStore(t *testing.T) {
	c := notifySocket(t)
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := Store(NFLOGName(7425), f); err != nil {
		t.Fatal(err)
	}
	state, control := receive(t, c)
	if want := "FDSTORE=1\nFDNAME=nflog-7425\nFDPOLL=0"; state != want {
		t.Errorf("got %q, want %q", state, want)
	}
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil || len(messages) != 1 {
		t.Fatalf("%d control messages, %v", len(messages), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		t.Fatalf("%d descriptors, %v", len(fds), err)
	}
	stored := os.NewFile(uintptr(fds[0]), "stored")
	defer stored.Close()
	a, errA := f.Stat()
	b, errB := stored.Stat()
	if errA != nil || errB != nil || !os.SameFile(a, b) {
		t.Errorf("another file was stored: %v, %v", errA, errB)
	}
}

func TestAwayFromSystemd(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	for name, err := range map[string]error{
		"ready": Ready("x"), "reloading": Reloading(), "status": Status("x"), "stopping": Stopping("x"),
		"alive": Alive(), "store": Store("x", os.Stdin), "forget": Forget("x"),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if d, err := Watchdog(); d != 0 || err != nil {
		t.Errorf("watchdog %v, %v", d, err)
	}
}

// TestManagerGone notifies a socket without a reader.
func TestManagerGone(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "none"))
	if Ready("x") == nil || Store("x", os.Stdin) == nil {
		t.Error("no error")
	}
}

func TestWatchdog(t *testing.T) {
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	for usec, want := range map[string]time.Duration{"30000000": 15 * time.Second, "": 0} {
		t.Setenv("WATCHDOG_USEC", usec)
		if d, err := Watchdog(); d != want || err != nil {
			t.Errorf("%q: %v, %v, want %v", usec, d, err, want)
		}
	}
	t.Setenv("WATCHDOG_USEC", "soon")
	if _, err := Watchdog(); err == nil {
		t.Error("no error for a word")
	}
	t.Setenv("WATCHDOG_USEC", "1000000")
	t.Setenv("WATCHDOG_PID", "1")
	if d, err := Watchdog(); d != 0 || err != nil {
		t.Errorf("another process's watchdog: %v, %v", d, err)
	}
}
