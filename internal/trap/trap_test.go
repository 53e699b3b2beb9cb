// SPDX-License-Identifier: MIT

package trap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// serve runs a trap on loopback until the test ends.
func serve(t *testing.T, tr *Trap) (reports chan Connection, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	reports = make(chan Connection, 4096)
	done := make(chan error, 1)
	go func() { done <- tr.Serve(ctx, func(c Connection) { reports <- c }) }()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return reports, stop
}

func listen(t *testing.T, c Config) *Trap {
	t.Helper()
	tr, err := Listen(t.Context(), 0, c)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func dial(t *testing.T, tr *Trap, host string) *net.TCPConn {
	t.Helper()
	a := netip.AddrPortFrom(netip.MustParseAddr(host), tr.Addrs()[0].Port())
	c, err := net.DialTimeout("tcp", a.String(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// next returns the next report of a connection that is not one of its beginning.
func next(t *testing.T, reports <-chan Connection) Connection {
	t.Helper()
	for {
		select {
		case c := <-reports:
			if !c.Open {
				return c
			}
		case <-time.After(10 * time.Second):
			t.Fatal("no report in 10 s")
			return Connection{}
		}
	}
}

func TestConversation(t *testing.T) {
	tests := []struct {
		name, host, banner, say string
		end                     bool // the peer hangs up without a word
		want                    string
	}{
		{"banner, then the peer speaks", "127.0.0.1", "go away\r\n", "SSH-2.0-x", false, "SSH-2.0-x"},
		{"banner over IPv6", "::1", "go away\r\n", "GET / HTTP/1.0\r\n\r\n", false, "GET / HTTP/1.0\r\n\r\n"},
		{"no banner", "127.0.0.1", "", "hello", false, "hello"},
		{"no more than the bound is kept", "127.0.0.1", "", strings.Repeat("x", 100), false,
			strings.Repeat("x", 20)},
		{"the peer hangs up", "::1", "", "", true, ""},
		{"the peer says nothing", "127.0.0.1", "go away\r\n", "", false, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tr := listen(t, Config{Banner: []byte(test.banner), Bytes: 20, Time: 300 * time.Millisecond})
			reports, _ := serve(t, tr)
			before := time.Now()
			c := dial(t, tr, test.host)
			local := c.LocalAddr().(*net.TCPAddr).AddrPort()
			if test.say != "" {
				if _, err := io.WriteString(c, test.say); err != nil {
					t.Fatal(err)
				}
			}
			if test.end {
				c.Close()
			} else {
				// The end may be a reset, for more was sent than is read.
				got, err := io.ReadAll(c)
				if string(got) != test.banner || (err != nil && !errors.Is(err, syscall.ECONNRESET)) {
					t.Errorf("the peer got %q, %v, want %q", got, err, test.banner)
				}
			}
			r := next(t, reports)
			if string(r.Data) != test.want || !strings.HasPrefix(test.want, string(r.Head)) ||
				len(r.Head) < min(len(r.Data), headBytes) {
				t.Errorf("got %q, looked at %q, want %q", r.Data, r.Head, test.want)
			}
			if r.Source != local || r.Refused || r.At.Before(before) || r.At.After(time.Now()) {
				t.Errorf("report %+v of a connection from %v", r, local)
			}
			if want := netip.AddrPortFrom(netip.MustParseAddr(test.host),
				tr.Addrs()[0].Port()); r.Destination != want {
				t.Errorf("destination %v, want %v", r.Destination, want)
			}
		})
	}
}

// TestKeepsNothing: where nothing is to be kept of what peers send, nothing is, and
// a peer is heard out all the same. It is reported before it speaks, and how it
// begins is looked at.
func TestKeepsNothing(t *testing.T) {
	tr := listen(t, Config{Bytes: 0, Time: 10 * time.Second})
	reports, _ := serve(t, tr)
	c := dial(t, tr, "127.0.0.1")
	if r := <-reports; !r.Open || r.Head != nil || r.Source != c.LocalAddr().(*net.TCPAddr).AddrPort() {
		t.Errorf("the first report is %+v", r)
	}
	select {
	case r := <-reports:
		t.Fatalf("hung up before the peer spoke: %+v", r)
	case <-time.After(50 * time.Millisecond):
	}
	if _, err := io.WriteString(c, "GET /password HTTP/1.1"); err != nil {
		t.Fatal(err)
	}
	if r := next(t, reports); len(r.Data) != 0 || string(r.Head) != "GET /password HT" {
		t.Errorf("%q is kept, %q looked at", r.Data, r.Head)
	}
}

// TestCrowd opens 1,000 connections at once, of which none ends by itself:
// each is answered or reset, and reported, within the bounds of time, memory
// and descriptors.
func TestCrowd(t *testing.T) {
	const crowd, room = 1000, DefaultConnections
	banner := []byte("go away\r\n")
	tr := listen(t, Config{Banner: banner})
	files, routines, memory := descriptors(t), runtime.NumGoroutine(), resident(t)
	reports, stop := serve(t, tr)
	var peers []net.Conn
	for i := range crowd {
		host := []string{"127.0.0.1", "::1"}[i%2]
		a := netip.AddrPortFrom(netip.MustParseAddr(host), tr.Addrs()[0].Port())
		p, err := net.Dial("tcp", a.String())
		if errors.Is(err, syscall.ECONNRESET) {
			continue // refused before this side had seen the handshake's end
		}
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		peers = append(peers, p)
	}
	answered, refused := 0, 0
	for range crowd {
		if next(t, reports).Refused {
			refused++
		} else {
			answered++
		}
	}
	grown := resident(t) - memory
	t.Logf("%d answered, %d refused, %d KiB more resident", answered, refused, grown>>10)
	if answered < room || refused == 0 {
		t.Errorf("%d answered, %d refused of %d, with room for %d", answered, refused, crowd, room)
	}
	if grown > 20<<20 {
		t.Errorf("%d bytes more resident, more than 20 MB", grown)
	}
	for _, p := range peers {
		if err := p.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(p)
		if string(b) != string(banner) && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a peer got %q, %v", b, err)
		}
		p.Close()
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	wait(t, "goroutines", func() bool { return runtime.NumGoroutine() <= routines })
	if now := descriptors(t); now >= files { // the listener is closed
		t.Errorf("%d descriptors after, %d before", now, files)
	}
}

// TestStop ends a trap whose peers would stay.
func TestStop(t *testing.T) {
	tr := listen(t, Config{Time: time.Hour})
	reports, stop := serve(t, tr)
	c := dial(t, tr, "127.0.0.1")
	wait(t, "accept", func() bool { return len(tr.slots) == 1 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	if r := next(t, reports); r.Source != c.LocalAddr().(*net.TCPAddr).AddrPort() {
		t.Errorf("report %+v", r)
	}
}

func TestListenInUse(t *testing.T) {
	tr := listen(t, Config{})
	defer tr.Close()
	_, err := Listen(t.Context(), tr.Addrs()[0].Port(), Config{})
	if err == nil || !strings.Contains(err.Error(), "name another port") ||
		!errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("got %v", err)
	}
}

// A stubborn listener has a list of errors before its connections.
type stubborn struct {
	net.Listener
	errs  []error
	calls int
}

func (s *stubborn) Accept() (net.Conn, error) {
	s.calls++
	if len(s.errs) > 0 {
		err := s.errs[0]
		s.errs = s.errs[1:]
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", err)}
	}
	return s.Listener.Accept()
}

func TestAcceptTrouble(t *testing.T) {
	inner := listen(t, Config{}).listeners[0]
	l := &stubborn{Listener: inner, errs: []error{syscall.EMFILE, syscall.ECONNABORTED, syscall.ENFILE,
		syscall.ENOMEM}}
	var told []error
	tr := New(Config{Trouble: func(err error) { told = append(told, err) }}, l)
	start := time.Now()
	reports, stop := serve(t, tr)
	dial(t, tr, "127.0.0.1").Close()
	next(t, reports)
	if took := time.Since(start); took < 35*time.Millisecond {
		t.Errorf("three shortages passed in %v, want pauses of 5, 10 and 20 ms", took)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if len(told) != 1 || !errors.Is(told[0], syscall.EMFILE) {
		t.Errorf("told %v, want the first shortage alone", told)
	}
	if l.calls != 6 { // four errors, one connection, the end
		t.Errorf("%d accepts", l.calls)
	}
}

// TestAcceptFails ends Serve, other listeners included.
func TestAcceptFails(t *testing.T) {
	inner := listen(t, Config{}).listeners[0]
	tr := New(Config{}, listen(t, Config{}).listeners[0],
		&stubborn{Listener: inner, errs: []error{syscall.EINVAL}})
	err := tr.Serve(t.Context(), func(Connection) {})
	if !errors.Is(err, syscall.EINVAL) || !strings.Contains(err.Error(), "trap listener") {
		t.Errorf("got %v", err)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(d)
}

// resident returns the bytes of memory the process has.
func resident(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size, pages int
	if _, err := fmt.Sscan(string(b), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// wait polls for what another goroutine is about to do.
func wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not after 5 s", what)
		}
	}
}
