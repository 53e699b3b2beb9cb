// SPDX-License-Identifier: MIT

package systemd

import (
	"bytes"
	"errors"
	"fmt"
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

// child is set in the processes that TestActivated starts of itself: they print
// their descriptors.
const child = "PICKET_TEST_ACTIVATED"

// noSleep ends a process of the race detector without its second of grace.
const noSleep = "GORACE=atexit_sleep_ms=0"

func printActivated() {
	s, err := Activated()
	again, errAgain := Activated()
	if again.Control != nil || again.Traps != nil || again.NFLOG != nil || errAgain != nil {
		fmt.Println("taken twice")
	}
	if s.Control != nil {
		fmt.Println("control", s.Control.Addr())
	}
	for _, l := range s.Traps {
		fmt.Println("trap", l.Addr())
	}
	for _, f := range s.NFLOG {
		fmt.Println(f.Name(), f.Fd())
	}
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println("done")
}

// TestActivated passes sockets by sd_listen_fds(3).
func TestActivated(t *testing.T) {
	if os.Getenv(child) != "" {
		printActivated()
		return
	}
	path := filepath.Join(t.TempDir(), "control.sock")
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	unixStream := socket(t, unix.AF_UNIX, unix.SOCK_STREAM, 0, &unix.SockaddrUnix{Name: path})
	tcp4 := socket(t, unix.AF_INET, unix.SOCK_STREAM, 0, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	tcp6 := socket(t, unix.AF_INET6, unix.SOCK_STREAM, 0, &unix.SockaddrInet6{Addr: [16]byte{15: 1}})
	idle := socket(t, unix.AF_INET, unix.SOCK_STREAM, 0, nil)
	udp := socket(t, unix.AF_INET, unix.SOCK_DGRAM, 0, nil)
	netfilter := socket(t, unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER, nil)
	route := socket(t, unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE, nil)
	other4 := socket(t, unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_TCP,
		&unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	tests := []struct {
		name  string
		names string
		files []*os.File
		want  []string
	}{
		{"all of them", "trap:nflog-5:control:trap:trap",
			[]*os.File{tcp4, netfilter, unixStream, tcp6, other4},
			[]string{"control " + path, "trap 127.0.0.1:", "trap [::1]:", "trap 127.0.0.1:", "nflog-5 4",
				"done"}},
		{"unknown name", "http:trap", []*os.File{tcp4, tcp6},
			[]string{"trap [::1]:", `systemd passed descriptor 3, "http": unknown name: set ` +
				`FileDescriptorName= to "control" or "trap"`, "done"}},
		{"no name", "", []*os.File{tcp4},
			[]string{`systemd passed descriptor 3, "LISTEN_FD_3": unknown name`, "done"}},
		{"control over TCP", "control", []*os.File{tcp4},
			[]string{`"control": it is a IPv4 stream socket of protocol 6, listening, not a listening unix ` +
				`stream socket`, "done"}},
		{"trap on a unix socket", "trap", []*os.File{unixStream},
			[]string{`"trap": it is a unix stream socket`, "done"}},
		{"trap that does not listen", "trap", []*os.File{idle},
			[]string{"stream socket of protocol 6, not listening, not a listening TCP socket", "done"}},
		{"trap for datagrams", "trap", []*os.File{udp},
			[]string{"a IPv4 datagram socket of protocol 17", "done"}},
		{"nflog that speaks of routes", "nflog-5", []*os.File{route},
			[]string{"netlink raw socket of protocol 0, not listening, not a netfilter", "done"}},
		{"a file", "nflog-5:trap", []*os.File{null, null},
			[]string{`descriptor 3, "nflog-5": it is no socket`, `descriptor 4, "trap": it is no socket`,
				"done"}},
		{"two of one", "control:nflog-5:nflog-6:control",
			[]*os.File{unixStream, netfilter, netfilter, unixStream},
			[]string{"control " + path, "nflog-5 4", "nflog-6 5",
				`descriptor 6, "control": a second control socket`, "done"}},
		{"none", "", nil, []string{"done"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			// LISTEN_PID needs the process to exist.
			cmd := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0" -test.run='^TestActivated$'`,
				os.Args[0])
			cmd.Env = append(os.Environ(), child+"=1", noSleep, "LISTEN_FDS="+strconv.Itoa(len(test.files)),
				"LISTEN_FDNAMES="+test.names)
			cmd.ExtraFiles = test.files
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			lines = lines[:max(0, len(lines)-1)] // PASS
			if len(lines) != len(test.want) {
				t.Fatalf("got\n%s\nwant %d lines", out, len(test.want))
			}
			for i := range lines {
				if !strings.Contains(lines[i], test.want[i]) {
					t.Errorf("line %d: got %q, want %q", i, lines[i], test.want[i])
				}
			}
		})
	}
}

// TestSocketActivate: systemd's own tool starts the process on the first connection.
func TestSocketActivate(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("not root")
	}
	// The tool takes no port 0: in a namespace a fixed one is free.
	ns := "picket-activate-" + strconv.Itoa(os.Getpid())
	for _, args := range [][]string{{"netns", "add", ns}, {"-n", ns, "link", "set", "lo", "up"}} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v\n%s", args, err, out)
		}
	}
	defer func() {
		if out, err := exec.Command("ip", "netns", "delete", ns).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}()
	path := filepath.Join(t.TempDir(), "control.sock")
	cmd := exec.CommandContext(t.Context(), "ip", "netns", "exec", ns, "systemd-socket-activate",
		"-l", path, "-l", "[::]:61003", "--fdname=control:trap", "-E", child+"=1", "-E", noSleep, os.Args[0],
		"-test.run=^TestActivated$")
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		c, err := net.Dial("unix", path)
		if err == nil {
			defer c.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if want := "control " + path + "\ntrap [::]:61003\ndone\nPASS\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func socket(t *testing.T, domain, typ, protocol int, listenOn unix.Sockaddr) *os.File {
	t.Helper()
	fd, err := unix.Socket(domain, typ|unix.SOCK_CLOEXEC, protocol)
	if err == nil && listenOn != nil {
		err = errors.Join(unix.Bind(fd, listenOn), unix.Listen(fd, 8))
	}
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "socket")
	t.Cleanup(func() { f.Close() })
	return f
}
