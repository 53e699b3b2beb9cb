// SPDX-License-Identifier: MIT

package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// served starts a daemon that answers by handle, and returns its socket.
func served(t *testing.T, ctx context.Context, handle func(Request) (any, error)) (path string,
	ended <-chan error) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "control.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, handle) }()
	return path, done
}

// A client gets the daemon's answer as it is: a list of any length, one value, nothing,
// an error.
func TestCall(t *testing.T) {
	list := make([]Block, 3000)
	for i := range list {
		list[i] = Block{Name: strings.Repeat("x", i%100), Drops: uint64(i),
			Since: time.Unix(int64(i), 0).UTC()}
	}
	path, _ := served(t, t.Context(), func(r Request) (any, error) {
		switch r.Command {
		case "none":
			return []Block{}, nil
		case "one":
			return list[:1], nil
		case "list":
			return list, nil
		case "number":
			return 7, nil
		case "nothing":
			return nil, nil
		}
		return nil, errors.New("unknown")
	})
	for command, want := range map[string]int{"none": 0, "one": 1, "list": len(list)} {
		got := []Block{{Name: "of before"}}
		if err := Call(path, Request{Command: command}, &got); err != nil || !slices.Equal(got, list[:want]) {
			t.Errorf("%s: %d items, %v, want %d", command, len(got), err, want)
		}
	}
	number := 0
	if err := Call(path, Request{Command: "number"}, &number); err != nil || number != 7 {
		t.Errorf("%d, %v", number, err)
	}
	if err := Call(path, Request{Command: "nothing"}, nil); err != nil {
		t.Error(err)
	}
	if err := Call(path, Request{Command: "?"}, &number); err == nil || err.Error() != "unknown" {
		t.Errorf("error %v", err)
	}
}

// A list that nobody reads to its end does not hold up the daemon.
func TestListIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	list := make([]Block, 100_000) // much more than the socket takes
	asked := make(chan struct{})
	path, ended := served(t, ctx, func(Request) (any, error) {
		close(asked)
		return list, nil
	})
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte(`{"command":"list"}`)); err != nil {
		t.Fatal(err)
	}
	<-asked
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("the daemon does not end")
	}
}

// A client that connects and says nothing does not hold up the daemon's end.
func TestSilentClient(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	path, ended := served(t, ctx, func(Request) (any, error) { return nil, nil })
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := Call(path, Request{}, nil); err != nil { // by then the silent one is heard
		t.Fatal(err)
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(readTimeout / 2):
		t.Error("the daemon does not end")
	}
}

// The socket of a daemon that is too busy to answer is not taken for one without a daemon.
func TestListenBesideBusy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	busy, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(busy)
	if err := errors.Join(unix.Bind(busy, &unix.SockaddrUnix{Name: path}), unix.Listen(busy, 0)); err != nil {
		t.Fatal(err)
	}
	for err == nil { // until no more may wait
		var c net.Conn
		if c, err = net.DialTimeout("unix", path, time.Second); err == nil {
			defer c.Close()
		}
	}
	if l, err := Listen(path); err == nil {
		l.Close()
		t.Error("the socket is taken")
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

// A list is read item by item: whole, as far as it could be made, or as far as its
// reader wants. Call reads the same.
func TestEach(t *testing.T) {
	broken := errors.New("the set is gone")
	path, _ := served(t, t.Context(), func(r Request) (any, error) {
		switch r.Command {
		case "slice":
			return []int{1, 2, 3}, nil
		case "none":
			return []int{}, nil
		case "fails":
			return nil, broken
		}
		return Stream(func(send func(any) error) error {
			for i := range 3 {
				if err := send(i + 1); err != nil {
					return err
				}
			}
			if r.Command == "breaks" {
				return broken
			}
			return nil
		}), nil
	})
	for _, c := range []struct {
		command, want string
		fails         bool
	}{
		{"slice", "[1 2 3]", false}, {"none", "[]", false}, {"fails", "[]", true},
		{"list", "[1 2 3]", false}, {"breaks", "[1 2 3]", true},
	} {
		var got []int
		err := Each(path, Request{Command: c.command},
			func(item json.RawMessage) error {
				var n int
				err := json.Unmarshal(item, &n)
				got = append(got, n)
				return err
			})
		if fmt.Sprint(got) != c.want || (err != nil) != c.fails {
			t.Errorf("%s: %v, %v", c.command, got, err)
		}
		if c.fails && err.Error() != broken.Error() {
			t.Errorf("%s: %v", c.command, err)
		}
		got = nil
		err = Call(path, Request{Command: c.command}, &got)
		if fmt.Sprint(got) != c.want || (err != nil) != c.fails {
			t.Errorf("%s, called: %v, %v", c.command, got, err)
		}
	}
	enough := errors.New("enough")
	err := Each(path, Request{Command: "list"}, func(json.RawMessage) error { return enough })
	if !errors.Is(err, enough) {
		t.Errorf("a reader who has enough: %v", err)
	}
	err = Each(path+"x", Request{}, func(json.RawMessage) error { return nil })
	if !errors.Is(err, ErrNotRunning) {
		t.Errorf("nobody there: %v", err)
	}
}

// An error of the configuration is told from others by the client too.
func TestInvalid(t *testing.T) {
	wrong := errors.New("line 7 is wrong")
	path, _ := served(t, t.Context(), func(r Request) (any, error) {
		if r.Command == "reload" {
			return nil, Invalid{wrong}
		}
		return nil, wrong
	})
	for command, want := range map[string]bool{"reload": true, "status": false} {
		err := Call(path, Request{Command: command}, nil)
		if err == nil || err.Error() != wrong.Error() || errors.As(err, new(Invalid)) != want {
			t.Errorf("%s: %#v", command, err)
		}
	}
}

// A client of a daemon that does not start gets the reason.
func TestRefuse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	answered := make(chan error, 1)
	go func() { answered <- Call(path, Request{Command: "status"}, nil) }()
	for {
		Refuse(l, errors.New("line 7 is wrong"))
		select {
		case err := <-answered:
			if !errors.Is(err, ErrNotRunning) || !strings.Contains(err.Error(), "line 7 is wrong") {
				t.Errorf("answer %v", err)
			}
			return
		default:
		}
	}
}

// Only root and the daemon's own user get answers. The socket's mode keeps others out, and
// if somebody changed the mode, their credentials do.
func TestStrangersAreRefused(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to be somebody else")
	}
	path, _ := served(t, t.Context(), func(Request) (any, error) { return "secret", nil })
	for dir := filepath.Dir(path); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, mode := range []os.FileMode{0o600, 0o666} {
		if err := os.Chmod(path, mode|os.ModeSocket); err != nil {
			t.Fatal(err)
		}
		refused := make(chan error, 1)
		go func() {
			// for good: the thread, which is nobody from here on, ends with the goroutine
			runtime.LockOSThread()
			if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, 65534, 65534, 65534); errno != 0 {
				refused <- errno
				return
			}
			var secret string
			refused <- Call(path, Request{Command: "status"}, &secret)
		}()
		if err := <-refused; err == nil || err.Error() != ErrPermission.Error() {
			t.Errorf("with mode %o a stranger gets %v", mode, err)
		}
	}
	var secret string
	if err := Call(path, Request{Command: "status"}, &secret); err != nil || secret != "secret" {
		t.Errorf("root gets %q, %v", secret, err)
	}
}

// An answer that comes before the request is read is the answer: its writer has closed
// the connection, and the rest of the request cannot be sent.
func TestAnswerBeforeTheRequest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte(`{"error":"no"}`))
			c.Close()
		}
	}()
	// longer than the socket's buffer, so the write waits for the end
	long := Request{Command: strings.Repeat("x", 4<<20)}
	if err := Call(path, long, nil); err == nil || err.Error() != "no" {
		t.Errorf("Call says %v", err)
	}
	err = Each(path, long, func(json.RawMessage) error { return nil })
	if err == nil || err.Error() != "no" {
		t.Errorf("Each says %v", err)
	}
}
