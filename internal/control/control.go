// SPDX-License-Identifier: MIT

// Package control is how the commands speak to the running daemon: one JSON
// request and one JSON response over a unix socket.
//
// It refuses everybody but root and the daemon's own user, by the socket's mode and
// again by the peer's credentials. It refuses requests of more than 8 MiB, or of more
// than five seconds on the way.
//
// It needs a directory that only root can write to.
package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Errors that a caller may want to tell apart.
var (
	// ErrNotRunning means that nobody answers at the socket.
	ErrNotRunning = errors.New("picket is not running")
	// ErrRunning means that a daemon answers at the socket already.
	ErrRunning = errors.New("another picket is running: stop it first")
	// ErrPermission means that the socket is not for this user.
	ErrPermission = errors.New("only root may speak to the daemon: use sudo")
)

// Bounds of one exchange.
const (
	maxRequest  = 8 << 20 // 100,000 sources
	readTimeout = 5 * time.Second
	callTimeout = 30 * time.Second
)

// A Request names a command and what it needs.
type Request struct {
	Command string `json:"command"`
	Source  string `json:"source,omitempty"`
	All     bool   `json:"all,omitempty"`
	For     string `json:"for,omitempty"` // a duration as in the configuration
	Reason  string `json:"reason,omitempty"`

	Sources []string `json:"sources,omitempty"` // for commands that take many
}

type response struct {
	Error  string          `json:"error,omitempty"`
	Absent bool            `json:"absent,omitempty"` // the daemon does not start, for the reason in Error
	Faulty bool            `json:"faulty,omitempty"` // Error is of the configuration
	Result json.RawMessage `json:"result,omitempty"`
}

// Path returns the socket's path: control.sock in the first directory of
// $RUNTIME_DIRECTORY, by default /run/picket.
func Path() string {
	dir, _, _ := strings.Cut(os.Getenv("RUNTIME_DIRECTORY"), ":")
	if dir == "" {
		dir = "/run/picket"
	}
	return filepath.Join(dir, "control.sock")
}

// Listen makes the socket, mode 0600. It fails with [ErrRunning] if a daemon answers
// there, and replaces a socket without a daemon.
func Listen(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make the runtime directory: %w", err)
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		c.Close()
	}
	if err == nil || errors.Is(err, unix.EAGAIN) { // it answers, or is too busy to
		return nil, fmt.Errorf("control socket %s: %w", path, ErrRunning)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove stale control socket: %w", err)
	}
	old := unix.Umask(0o177)
	defer unix.Umask(old)
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("make control socket: %w", err)
	}
	return l, nil
}

// Serve answers requests by handle, each in a goroutine of its own, until ctx ends.
// Then it closes l, and returns once all are answered.
func Serve(ctx context.Context, l net.Listener, handle func(Request) (any, error)) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var answering sync.WaitGroup
	defer answering.Wait()
	for {
		c, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("control socket: %w", err)
		case err != nil: // out of descriptors, say: that passes
			time.Sleep(50 * time.Millisecond)
			continue
		}
		answering.Go(func() { answer(ctx, c, handle) })
	}
}

// Refuse answers every connection that waits at l now with the error why. Only a unix
// listener has any.
func Refuse(l net.Listener, why error) {
	u, ok := l.(*net.UnixListener)
	if !ok {
		return
	}
	for {
		_ = u.SetDeadline(time.Now().Add(waiting))
		c, err := u.Accept()
		if err != nil {
			return
		}
		answer(context.Background(), c, func(Request) (any, error) { return nil, absent{why} })
	}
}

// absent is the error that keeps a daemon from starting.
type absent struct{ error }

// Invalid is an error of the configuration. It is told from others at both ends of the socket.
type Invalid struct{ Err error }

func (i Invalid) Error() string { return i.Err.Error() }
func (i Invalid) Unwrap() error { return i.Err }

// waiting is how long it may take to accept a connection that waits.
const waiting = 20 * time.Millisecond

func answer(ctx context.Context, c net.Conn, handle func(Request) (any, error)) {
	defer c.Close()
	var result any
	err := trusted(c)
	if err == nil {
		result, err = dispatch(ctx, c, handle)
	}
	// A peer that does not wait for the answer does not get it.
	_ = write(ctx, c, result, err)
}

func dispatch(ctx context.Context, c net.Conn, handle func(Request) (any, error)) (any, error) {
	defer within(ctx, c.SetReadDeadline, readTimeout)()
	var req Request
	if err := json.NewDecoder(io.LimitReader(c, maxRequest)).Decode(&req); err != nil {
		return nil, fmt.Errorf("bad request: %w", err)
	}
	return handle(req)
}

// A Stream is an answer of many items, made while they are sent. It hands each to send,
// and returns the first error, of send or its own.
type Stream func(send func(item any) error) error

// listOf is the list of a slice's elements.
func listOf(slice reflect.Value) Stream {
	return func(send func(any) error) error {
		for i := range slice.Len() {
			if err := send(slice.Index(i).Addr().Interface()); err != nil {
				return err
			}
		}
		return nil
	}
}

// write writes a response. Of a list one item is in memory at a time. When ctx ends, a
// list breaks off in the middle, and the output is no JSON.
func write(ctx context.Context, c net.Conn, result any, failed error) error {
	defer within(ctx, c.SetWriteDeadline, callTimeout)()
	if failed == nil {
		list, is := result.(Stream)
		if v := reflect.ValueOf(result); v.Kind() == reflect.Slice && !v.IsNil() {
			list, is = listOf(v), true
		}
		if is {
			return writeList(ctx, c, list)
		}
	}
	var r response
	if failed == nil && result != nil {
		r.Result, failed = json.Marshal(result)
	}
	if failed != nil {
		r = response{
			Error:  failed.Error(),
			Absent: errors.As(failed, new(absent)), Faulty: errors.As(failed, new(Invalid)),
		}
	}
	return json.NewEncoder(c).Encode(r)
}

// errUnread means that nobody waits for the list any more.
var errUnread = errors.New("nobody reads the answer")

// writeList writes one item a line. If the list is not whole, the error follows it.
func writeList(ctx context.Context, c net.Conn, list Stream) error {
	out := bufio.NewWriterSize(c, 64<<10)
	item := json.NewEncoder(out)
	before := listHead
	err := list(func(v any) error {
		_, _ = out.WriteString(before) // Flush returns its error
		before = ","
		if err := errors.Join(ctx.Err(), item.Encode(v)); err != nil {
			return errors.Join(errUnread, err)
		}
		return nil
	})
	if errors.Is(err, errUnread) {
		return err
	}
	if before != "," {
		_, _ = out.WriteString(before)
	}
	_, _ = out.WriteString("]")
	if err != nil {
		words, _ := json.Marshal(err.Error()) // a string never fails
		_, _ = out.WriteString(`,"error":` + string(words))
	}
	_, _ = out.WriteString("}\n")
	return out.Flush()
}

// lastWord is how long a request or an answer may take once the daemon is ending.
const lastWord = 200 * time.Millisecond

// within sets a deadline, and a shorter one when ctx ends, until stop is called.
func within(ctx context.Context, set func(time.Time) error, limit time.Duration) (stop func() bool) {
	_ = set(time.Now().Add(limit))
	return context.AfterFunc(ctx, func() { _ = set(time.Now().Add(lastWord)) })
}

// trusted checks who is at the other end (SO_PEERCRED, unix(7)).
func trusted(c net.Conn) error {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return ErrPermission
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return ErrPermission
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err != nil || credErr != nil {
		return ErrPermission
	}
	if cred.Uid != 0 && int(cred.Uid) != os.Getuid() {
		return ErrPermission
	}
	return nil
}

// Call sends a request to the daemon and decodes its result into result, unless that
// is nil. The errors are [ErrPermission], one that wraps [ErrNotRunning], an [Invalid], or
// another of the daemon's.
func Call(path string, req Request, result any) error {
	c, err := send(path, req)
	if err != nil {
		return err
	}
	defer c.Close()
	r := struct {
		response
		Result any `json:"result"` // of the wanted type, so decoded at once
	}{Result: result}
	if err := json.NewDecoder(c).Decode(&r); err != nil {
		return unreadable(err)
	}
	return r.failed()
}

// listHead begins the answer that is a list. One item a line follows.
const listHead = `{"result":[`

// Each sends a request for a list, and calls f for each item, until f fails. An item is as
// the daemon made it, not read, and valid until f returns. Its other errors are those of
// [Call], and may come after some items.
func Each(path string, req Request, f func(json.RawMessage) error) error {
	c, err := send(path, req)
	if err != nil {
		return err
	}
	defer c.Close()
	in := bufio.NewReaderSize(c, 64<<10)
	if head, _ := in.Peek(len(listHead)); string(head) != listHead {
		var r response
		if err := json.NewDecoder(in).Decode(&r); err != nil {
			return unreadable(err)
		}
		return r.failed()
	}
	_, _ = in.Discard(len(listHead)) // it is in the buffer
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return unreadable(err)
		}
		line = bytes.TrimPrefix(line, []byte(","))
		if line[0] == ']' {
			var r response
			if err := json.Unmarshal(append([]byte(listHead), line...), &r); err != nil {
				return unreadable(err)
			}
			return r.failed()
		}
		if err := f(line[:len(line)-1]); err != nil {
			return err
		}
	}
}

// send connects to the daemon and sends a request.
func send(path string, req Request) (net.Conn, error) {
	c, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, ErrPermission
	case err != nil:
		// A daemon with another RUNTIME_DIRECTORY may run all the same.
		return nil, fmt.Errorf("%w: nobody answers at %s; "+
			"start it with \"systemctl start picket\" or \"picket run\"",
			ErrNotRunning, path)
	}
	_ = c.SetDeadline(time.Now().Add(callTimeout))
	// A client may be refused before it has asked. Then the answer has the reason.
	if err := json.NewEncoder(c).Encode(req); err != nil && !errors.Is(err, unix.EPIPE) {
		return nil, errors.Join(fmt.Errorf("send request: %w", err), c.Close())
	}
	return c, nil
}

func unreadable(err error) error { return fmt.Errorf("read the daemon's answer: %w", err) }

// failed returns the daemon's error, or nil.
func (r *response) failed() error {
	switch {
	case r.Absent:
		return fmt.Errorf("%w: it does not start: %s", ErrNotRunning, r.Error)
	case r.Faulty:
		return Invalid{errors.New(r.Error)}
	case r.Error != "":
		return errors.New(r.Error)
	}
	return nil
}
