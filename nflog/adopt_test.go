// SPDX-License-Identifier: MIT

package nflog

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	library "github.com/florianl/go-nflog/v2"
	"github.com/mdlayher/netlink"
	"github.com/mdlayher/socket"
	"golang.org/x/sys/unix"
)

const adoptGroup = 4711

// role is set in the processes that TestAdopt starts of itself.
const role = "PICKET_TEST_ADOPT"

// TestAdopt: one process binds a group and ends, by itself or by SIGKILL, and another one takes
// over its socket. Messages logged in between, and while the second one registers, arrive
// without a gap in the numbers.
func TestAdopt(t *testing.T) {
	switch os.Getenv(role) {
	case "bind":
		bindingProcess(t)
		return
	case "adopt":
		adoptingProcess(t)
		return
	}
	for _, end := range []string{"closed", "killed"} {
		t.Run(end, func(t *testing.T) {
			const before, between, after = 10, 300, 40
			ns := newNamespace(t, "a"+end)
			ours, theirs := socketPair(t)
			first := ns.start(t, "bind", theirs)
			stored := receiveFile(t, ours)
			ns.probe(t, before)
			got := first.numbers(t, before)
			if end == "killed" {
				if err := first.cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			} else if err := ours.CloseWrite(); err != nil { // the end of its input ends it
				t.Fatal(err)
			}
			if err := first.cmd.Wait(); (err != nil) != (end == "killed") {
				t.Fatalf("first process: %v\n%s", err, first.stderr)
			}
			ns.probe(t, between)
			second := ns.start(t, "adopt", stored)
			ns.probe(t, after) // while it registers
			got = append(got, second.numbers(t, between+after)...)
			for i := 1; i < len(got); i++ {
				if got[i] != got[i-1]+1 {
					t.Fatalf("number %d follows %d after %d messages", got[i], got[i-1], i)
				}
			}
		})
	}
}

// TestAdoptRefuses: a file that is not a socket with the group is refused.
func TestAdoptRefuses(t *testing.T) {
	ns := newNamespace(t, "refuse")
	ns.do(t, func() {
		null, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer null.Close()
		if _, err := adopt(null, adoptGroup, nil, nil); err == nil ||
			!strings.Contains(err.Error(), "not a socket") {
			t.Errorf("a file: %v", err)
		}
		for _, s := range []struct {
			domain, kind, protocol int
			want                   string
		}{
			{unix.AF_UNIX, unix.SOCK_STREAM, 0, "is not a netfilter netlink socket"},
			{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE, "is not a netfilter netlink socket"},
			{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER, "group 4711: the group is not bound"},
		} {
			fd, err := unix.Socket(s.domain, s.kind|unix.SOCK_CLOEXEC, s.protocol)
			if err != nil {
				t.Fatal(err)
			}
			f := os.NewFile(uintptr(fd), "other")
			_, err = adopt(f, adoptGroup, nil, nil)
			if err == nil || !strings.Contains(err.Error(), s.want) {
				t.Errorf("domain %d, protocol %d: %v", s.domain, s.protocol, err)
			}
			if s.protocol == unix.NETLINK_NETFILTER && !errors.Is(err, errNotBound) {
				t.Errorf("errNotBound is not in %v", err)
			}
			f.Close()
		}
	})
}

// A lone message is waited for and read at once. Several in a datagram are a flood: the
// reader rests when it has read all, and before it reads again, for a little while.
func TestRest(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	k := &groupSocket{buffer: make([]byte, 64)}
	send := func() {
		t.Helper()
		if _, err := unix.Write(fds[1], []byte("one")); err != nil {
			t.Fatal(err)
		}
	}
	reads := func(what string, done bool, want error) {
		t.Helper()
		got := k.tryRead(uintptr(fds[0]))
		if got != done || !errors.Is(k.err, want) || want == nil && k.size != 3 {
			t.Errorf("%s: %v, %d bytes, %v", what, got, k.size, k.err)
		}
	}
	reads("nothing", false, unix.EAGAIN)
	send()
	reads("a lone one", true, nil)
	k.many = true
	send()
	reads("in a flood, with more", true, nil)
	reads("in a flood, without more", true, unix.EAGAIN)
	k.many, k.gathered = false, time.Now()
	reads("after a rest", false, unix.EAGAIN)
	send()
	reads("woken in a flood", true, unix.EAGAIN)
	reads("after that rest", true, nil)
	reads("nothing any more", false, unix.EAGAIN)
	k.gathered = time.Now().Add(-floodEnds)
	send()
	reads("after the flood", true, nil)
}

// The kernel gathers as many messages in a datagram as it is told to.
func TestGather(t *testing.T) {
	ns := newNamespace(t, "gather")
	var s *socket.Conn
	var err error
	ns.do(t, func() {
		s, err = socket.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER, "netlink", nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	k, err := newGroupSocket(s, false, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	con := netlink.NewConn(k, 0)
	defer con.Close()
	if _, err := con.Execute(configure(adoptGroup, commandBind)); err != nil {
		t.Fatal(err)
	}
	if _, err := con.Send(gather(adoptGroup, groupDatagram)); err != nil {
		t.Fatal(err)
	}
	ns.send(t, 10, groupThreshold)
	if err := k.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	ms, err := k.Receive()
	if n := len(ms); err != nil || n != groupThreshold+1 || ms[n-1].Header.Type != netlink.Done {
		t.Errorf("%d messages, %v", n, err)
	}
}

// FuzzSplit cuts any bytes: what comes out lies inside what went in.
func FuzzSplit(f *testing.F) {
	f.Add([]byte{20, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4})
	f.Add([]byte{17, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1})
	f.Add([]byte{255, 255, 255, 255, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		ms, err := split(nil, b)
		total := 0
		for _, m := range ms {
			total += unix.SizeofNlMsghdr + len(m.Data)
		}
		if total > len(b) || (err == nil && len(b)-total > 3*len(ms)+unix.SizeofNlMsghdr-1) {
			t.Errorf("%d bytes in, %d messages of %d bytes out, %v", len(b), len(ms), total, err)
		}
	})
}

// open registers a reader over con that prints the number of each message.
func open(t *testing.T, con *netlink.Conn) (stop func()) {
	t.Helper()
	nf, err := library.Open(&library.Config{Group: adoptGroup, Copymode: library.CopyPacket, Bufsize: 96,
		QThresh: 1, Flags: library.FlagSeq, Timeout: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := nf.Con.Close(); err != nil {
		t.Fatal(err)
	}
	nf.Con = con
	if err := nf.SetOption(netlink.NoENOBUFS, true); err != nil {
		t.Fatal(err)
	}
	if err := con.SetReadBuffer(4 << 20); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = nf.RegisterWithErrorFunc(ctx, func(a library.Attribute) int {
		if a.Seq == nil || a.Payload == nil || len(*a.Payload) < 20 {
			fmt.Println("number or payload missing")
			return 1
		}
		fmt.Println("number", *a.Seq)
		return 0
	}, func(error) int { return 0 })
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		cancel()
		// The library sends this when its reader ends, perhaps after Close has returned.
		_, err := con.Execute(configure(adoptGroup, commandUnbind))
		if err != nil {
			t.Error(err)
		}
		if err := nf.Close(); err != nil {
			t.Error(err)
		}
	}
}

// bindingProcess binds the group, passes on a copy of its socket as it would to systemd, and
// reads until the other side of its own socket is shut.
func bindingProcess(t *testing.T) {
	con, err := dial(func() {}, nil)
	if err != nil {
		t.Fatal(err)
	}
	stop := open(t, con)
	raw, err := con.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	out := os.NewFile(3, "out")
	err = raw.Control(func(fd uintptr) {
		err = unix.Sendmsg(int(out.Fd()), []byte{0}, unix.UnixRights(int(fd)), nil, 0)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err == nil {
		t.Error("input where the end was due")
	}
	stop()
}

// adoptingProcess takes over descriptor 3 and reads until it is killed.
func adoptingProcess(t *testing.T) {
	con, err := adopt(os.NewFile(3, "nflog"), adoptGroup, func() {}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer open(t, con)()
	<-t.Context().Done()
}

// A namespace is a network namespace with a rule that logs UDP to port 9.
type namespace struct{ name string }

func newNamespace(t *testing.T, name string) namespace {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("not root")
	}
	ns := namespace{"picket-" + name + "-" + strconv.Itoa(os.Getpid())}
	run(t, "", "ip", "netns", "add", ns.name)
	t.Cleanup(func() { run(t, "", "ip", "netns", "delete", ns.name) })
	run(t, "", "ip", "-n", ns.name, "link", "set", "lo", "up")
	run(t, `table inet probe {
		chain input {
			type filter hook input priority filter
			udp dport 9 log group 4711 queue-threshold 1 drop
			udp dport 10 log group 4711 queue-threshold 64 drop
		}
	}`, "ip", "netns", "exec", ns.name, "nft", "-f", "-")
	return ns
}

// do runs f on its own thread inside the namespace. The thread ends with it.
func (n namespace) do(t *testing.T, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		ns, err := os.Open("/run/netns/" + n.name)
		if err == nil {
			defer ns.Close()
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func (n namespace) probe(t *testing.T, count int) {
	t.Helper()
	n.send(t, 9, count)
}

func (n namespace) send(t *testing.T, port, count int) {
	t.Helper()
	n.do(t, func() {
		c, err := net.Dial("udp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		for range count {
			if _, err := c.Write([]byte("probe")); err != nil {
				t.Error(err)
			}
		}
	})
}

// A process is this test's binary in another role.
type process struct {
	cmd    *exec.Cmd
	lines  chan string
	stderr *strings.Builder
}

func (n namespace) start(t *testing.T, as string, fd *os.File) *process {
	t.Helper()
	p := &process{lines: make(chan string), stderr: new(strings.Builder)}
	p.cmd = exec.CommandContext(t.Context(), "ip", "netns", "exec", n.name, os.Args[0],
		"-test.run=^TestAdopt$")
	p.cmd.Env = append(os.Environ(), role+"="+as, "GORACE=atexit_sleep_ms=0")
	p.cmd.ExtraFiles = []*os.File{fd}
	p.cmd.Stderr = p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := fd.Close(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		for range p.lines {
		}
		_ = p.cmd.Wait()
	})
	return p
}

// numbers reads count sequence numbers that p prints.
func (p *process) numbers(t *testing.T, count int) []uint32 {
	t.Helper()
	var got []uint32
	limit := time.After(10 * time.Second)
	for len(got) < count {
		select {
		case line, ok := <-p.lines:
			var n uint32
			if _, err := fmt.Sscanf(line, "number %d", &n); err != nil || !ok {
				t.Fatalf("%d of %d messages, then %q\n%s", len(got), count, line, p.stderr)
			}
			got = append(got, n)
		case <-limit:
			t.Fatalf("%d of %d messages in 10 s\n%s", len(got), count, p.stderr)
		}
	}
	return got
}

func socketPair(t *testing.T) (ours *net.UnixConn, theirs *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fds[0]), "ours")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.UnixConn), os.NewFile(uintptr(fds[1]), "theirs")
}

func receiveFile(t *testing.T, c *net.UnixConn) *os.File {
	t.Helper()
	oob := make([]byte, unix.CmsgSpace(4))
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, n, _, _, err := c.ReadMsgUnix(make([]byte, 1), oob)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(messages) != 1 {
		t.Fatalf("%d control messages, %v", len(messages), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fds[0]), "stored")
}

func run(t *testing.T, input, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}
