// SPDX-License-Identifier: MIT

package inline

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"picket/internal/netns/netnstest"
	"picket/internal/probe"
)

// inNetns runs the rest of the test in a new network namespace, where TCP to port 80 waits in
// queue 5. If nft may not make the rule, iptables does.
func inNetns(t *testing.T) {
	t.Helper()
	netnstest.Enter(t)
	for _, c := range []string{
		"ip link set lo up",
		"iptables -A INPUT -p tcp --dport 80 --syn -j NFQUEUE --queue-num 5 --queue-bypass",
	} {
		argv := strings.Fields(c)
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", c, err, out)
		}
	}
}

func serve(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
}

// dials returns how long a connection took, or 0 if it failed or took too long. Its socket is
// in this thread's namespace.
func dials(t *testing.T, limit time.Duration) time.Duration {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	began := time.Now()
	_ = unix.Connect(fd, &unix.SockaddrInet4{Port: 80, Addr: [4]byte{127, 0, 0, 1}})
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, int(limit.Milliseconds()))
		if err == unix.EINTR {
			continue
		}
		if n == 0 {
			return 0
		}
		return time.Since(began)
	}
}

func open(t *testing.T, emit func(Held, []byte) bool) *Queue {
	t.Helper()
	q, err := Open(5, emit, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	return q
}

// A SYN waits for its own answer, and other packets do not wait.
func TestAnswers(t *testing.T) {
	inNetns(t)
	serve(t)
	var seen []probe.Probe
	q := open(t, func(h Held, raw []byte) bool {
		seen = append(seen, h.Probe)
		if len(raw) < 40 || raw[0] != 0x45 {
			t.Errorf("bytes: %x", raw)
		}
		h.Answer(map[bool]Verdict{true: Let, false: Refuse}[len(seen) > 1])
		return true
	})
	if dials(t, 300*time.Millisecond) != 0 {
		t.Error("turned away, and yet connected")
	}
	if dials(t, time.Second) == 0 {
		t.Error("let in, and not connected")
	}
	q.Close()
	if s := q.Stats(); s.Refused != 1 || s.Let == 0 || s.Aged != 0 || s.Errors != 0 || s.Held != s.Let+1 {
		t.Errorf("%+v", s)
	}
	p := seen[0]
	if p.Port != 80 || p.Technique != probe.SYN || p.Source.String() != "127.0.0.1" || p.At == 0 {
		t.Errorf("%+v", p)
	}
}

// Without an answer a SYN passes after its age. It passes at once if the judge is too slow, if
// the queue is closed, or if nobody reads it.
func TestFailsOpen(t *testing.T) {
	inNetns(t)
	serve(t)
	q := open(t, func(Held, []byte) bool { return true })
	if took := dials(t, time.Second); took < Age || took > 20*Age {
		t.Errorf("without an answer it took %v", took)
	}
	closed := make(chan struct{})
	go func() { time.Sleep(5 * time.Millisecond); q.Close(); close(closed) }()
	if dials(t, time.Second) == 0 {
		t.Error("kept out by the end of the queue")
	}
	<-closed
	if dials(t, time.Second) == 0 {
		t.Error("kept out though nobody has the queue")
	}
	if s := q.Stats(); s.Aged == 0 || s.Refused != 0 {
		t.Errorf("%+v", s)
	}
	q = open(t, func(Held, []byte) bool { return false })
	if dials(t, time.Second) == 0 || q.Stats().Aged != 0 {
		t.Error("kept out by who does not keep up")
	}
}

// While the socket's buffer is full, packets pass at once, even if the queue has room. Reading
// then goes on as if nothing had been lost.
func TestFullBuffer(t *testing.T) {
	inNetns(t)
	serve(t)
	release := make(chan struct{})
	q := open(t, func(h Held, _ []byte) bool { <-release; h.Answer(Let); return true })
	if err := q.conn.SetReadBuffer(1); err != nil { // the kernel's least
		t.Fatal(err)
	}
	held := 0
	for dials(t, 100*time.Millisecond) == 0 || held == 0 && q.Stats().Held == 1 {
		if held++; held > Length/2 {
			t.Fatal("the buffer is never full: nothing was tried")
		}
	}
	b, err := os.ReadFile("/proc/thread-self/net/netfilter/nfnetlink_queue")
	if f := strings.Fields(string(b)); err != nil || len(f) < 7 || f[5] != "0" || f[6] != "0" {
		t.Errorf("%v: dropped by the kernel: %q", err, b)
	}
	close(release)
	deadline := time.Now().Add(10 * time.Second)
	for waited := q.Stats().Held; waited <= uint64(held)+1; waited = q.Stats().Held { // and one more
		if dials(t, time.Second) == 0 || time.Now().After(deadline) {
			t.Fatalf("after that nothing waits, or nothing passes: %+v", q.Stats())
		}
	}
	t.Logf("%d SYNs waited beside the first, of %d", held, Length)
}

// A queue has one reader, and is free after its reader's end.
func TestTaken(t *testing.T) {
	inNetns(t)
	first := open(t, func(h Held, _ []byte) bool { return false })
	if _, err := Open(5, nil, nil); !errors.Is(err, ErrTaken) {
		t.Errorf("%v, want %v", err, ErrTaken)
	}
	first.Close()
	open(t, func(h Held, _ []byte) bool { return false })
}

// The kernel has what the package promises: the length, the flags, the bytes.
func TestConfiguration(t *testing.T) {
	inNetns(t)
	open(t, func(h Held, _ []byte) bool { return true })
	b, err := os.ReadFile("/proc/thread-self/net/netfilter/nfnetlink_queue")
	if err != nil {
		t.Fatal(err)
	}
	// The columns: number, reader, waiting packets, copy mode, bytes, ...
	if f := strings.Fields(string(b)); len(f) < 5 || f[0] != "5" || f[3] != "2" || f[4] != "1500" {
		t.Errorf("%q", b)
	}
	m := configuration(5)
	want := map[uint16]uint32{configLength: Length, configFlags: 5, configMask: 5}
	for b := m[headerLength:]; len(b) >= 4; {
		n, kind := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])
		if v, ok := want[kind]; ok && binary.BigEndian.Uint32(b[4:]) != v {
			t.Errorf("attribute %d: %x, want %d", kind, b[4:n], v)
		}
		delete(want, kind)
		b = b[(n+3)&^3:]
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
}

// told returns the messages of a queue to the kernel, from a socket that records them.
func told(held []waiting) (out []waiting, messages []string) {
	return settled(held, func(kind uint16, said Verdict, id uint32, n int) {
		what := "one"
		if kind == messageBatch {
			what = "batch"
		}
		verdict := "let"
		if said == Refuse {
			verdict = "refused"
		}
		messages = append(messages, what+" "+verdict+" "+string(rune('0'+id))+" "+string(rune('0'+n)))
	}), messages
}

// Answers in order go in batches of one kind, answers out of order one by one. No packet gets
// the answer of another.
func TestBatches(t *testing.T) {
	at := func(said ...Verdict) (held []waiting) {
		for i, s := range said {
			held = append(held, waiting{id: uint32(1 + i), said: s})
		}
		return held
	}
	for _, x := range []struct {
		held []waiting
		want []string
		left int
	}{
		{at(Let), []string{"one let 1 1"}, 0},
		{at(Let, Let, Let), []string{"batch let 3 3"}, 0},
		{at(Let, Let, Refuse, Refuse, Let),
			[]string{"batch let 2 2", "batch refused 4 2", "one let 5 1"}, 0},
		{at(0, Let, Refuse, 0, Let), []string{"one let 2 1", "one refused 3 1", "one let 5 1"}, 5},
		{at(Doom, Let), []string{"one let 2 1"}, 2},
		{at(Let, 0, Let), []string{"one let 1 1", "one let 3 1"}, 2},
		{at(Let, done, done, Let, Let, 0), []string{"one let 1 1", "batch let 5 2"}, 1},
	} {
		left, got := told(slices.Clone(x.held))
		if !slices.Equal(got, x.want) || len(left) != x.left {
			t.Errorf("%v: told %q, %d left; want %q, %d", x.held, got, len(left), x.want, x.left)
		}
	}
}

// An answer for an unknown packet, and a second answer, change nothing.
func TestLateAnswers(t *testing.T) {
	held := note(nil, news{id: 7, since: time.Unix(1, 0)})
	held = note(held, news{id: 8, said: Refuse})
	held = note(held, news{id: 7, said: Refuse})
	held = note(held, news{id: 7, said: Let})
	if len(held) != 1 || held[0].said != Refuse {
		t.Errorf("%+v", held)
	}
	held = note(held, news{id: 9, since: time.Unix(1, 0)})
	held = note(held, news{id: 10, since: time.Unix(1, 0)})
	held = note(held, news{id: 10, said: Doom})
	if n := age(held, time.Unix(1, int64(Age)-1)); n != 0 {
		t.Errorf("%d are too old a moment before", n)
	}
	if n := age(held, time.Unix(1, int64(Age))); n != 1 || held[1].said != Let || held[0].said != Refuse ||
		held[2].said != Refuse {
		t.Errorf("%d are too old and unjudged: %+v", n, held)
	}
}

// FuzzRead: no message of the kernel, however it is cut, makes read fail or panic.
func FuzzRead(f *testing.F) {
	f.Add([]byte{8, 0, 1, 0, 0, 0, 0, 9, 6, 0, 10, 0, 1, 2, 0, 0})
	f.Add([]byte{20, 0, 4, 0, 1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		m := read(b)
		m.syn(time.Unix(1, 0))
	})
}
