// SPDX-License-Identifier: MIT

package hook

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"

	"picket/internal/event"
)

// A helper is a process of the same program that runs the commands in picket's place, once
// picket may start none. It was started before that. It keeps to the commands of the
// operator's configuration, which it reads by itself: whoever has taken over picket can
// have them run, and no others.
type helper struct {
	conn  net.Conn
	ended chan struct{} // closed at the end of the process
	limit time.Duration // of an answer
	mu    sync.Mutex    // of what follows
	out   *gob.Encoder
	last  uint64
	wait  map[uint64]chan answer // nil: nobody answers any more
}

type request struct {
	ID      uint64
	Command []string // as the configuration has it
	Event   event.Event
}

type answer struct {
	ID     uint64
	Result Result // without Err
	Err    string
}

// errEnded is of commands after the end of the helper.
var errEnded = errors.New("the process that runs commands has ended: restart picket")

// Detach has a process of this program run the commands from here on: with args it must
// call [Serve]. It comes before [Runner.Run].
func (r *Runner) Detach(args ...string) error {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("the process for commands: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "commands"), os.NewFile(uintptr(fds[1]), "commands")
	defer ours.Close()
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		return fmt.Errorf("the process for commands: %w", err)
	}
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for picket, which closes the socket
	if err := cmd.Start(); err != nil {
		conn.Close()
		return fmt.Errorf("the process for commands: %w", err)
	}
	h := &helper{conn: conn, ended: make(chan struct{}), limit: r.conf.Timeout + 2*grace,
		out: gob.NewEncoder(conn), wait: map[uint64]chan answer{}}
	go func() {
		defer close(h.ended)
		_ = cmd.Wait()
	}()
	go h.read()
	r.helper = h
	return nil
}

// end has the helper kill what runs and end, and waits for that.
func (h *helper) end() {
	h.conn.Close()
	select {
	case <-h.ended:
	case <-time.After(grace): // somebody has stopped it
	}
}

// read hands the answers to who waits for them, until the helper ends.
func (h *helper) read() {
	for in := gob.NewDecoder(h.conn); ; {
		var a answer
		err := in.Decode(&a)
		h.mu.Lock()
		if err != nil {
			for _, ch := range h.wait {
				close(ch)
			}
			h.wait = nil
			h.mu.Unlock()
			return
		}
		if ch := h.wait[a.ID]; ch != nil {
			delete(h.wait, a.ID)
			ch <- a
		}
		h.mu.Unlock()
	}
}

// one has a command run.
func (h *helper) one(ctx context.Context, j job) Result {
	res := Result{Event: j.event, Argv: j.command.Argv(j.event)}
	ch := make(chan answer, 1)
	h.mu.Lock()
	err := errEnded
	if h.wait != nil {
		h.last++
		h.wait[h.last] = ch
		err = h.out.Encode(request{h.last, j.command.argv, j.event})
	}
	h.mu.Unlock()
	if err != nil {
		res.Err = errors.Join(errEnded, err)
		return res
	}
	select {
	case a, ok := <-ch:
		if !ok {
			res.Err = errEnded
			return res
		}
		if res = a.Result; a.Err != "" {
			res.Err = errors.New(a.Err)
		}
	case <-time.After(h.limit):
		res.Err = fmt.Errorf("%w: no answer of the process that runs commands", ErrTimeout)
	case <-ctx.Done(): // the helper kills it when the socket is closed
		res.Err = fmt.Errorf("picket stops, so it was killed: %w", ctx.Err())
	}
	return res
}

// Serve runs the commands that come over the socket that is descriptor 3, until that is closed;
// then it kills those that run. Listed reads the operator's commands; it is called again when
// another one comes.
func Serve(c Config, listed func() [][]string) error {
	passed := os.NewFile(3, "commands")
	conn, err := net.FileConn(passed)
	if err != nil {
		return errors.New("only \"picket run\" calls this")
	}
	passed.Close() // the copy in conn does not reach the commands
	ctx, cancel := context.WithCancel(context.Background())
	r, in, out := New(c), gob.NewDecoder(conn), gob.NewEncoder(conn)
	var mu sync.Mutex // of out
	say := func(a answer) {
		mu.Lock()
		defer mu.Unlock()
		_ = out.Encode(a) // nobody is left to tell
	}
	var all sync.WaitGroup
	all.Go(func() { _ = r.Run(ctx) })
	defer all.Wait()
	defer cancel()
	list := listed()
	for {
		var q request
		if err := in.Decode(&q); err != nil {
			return nil
		}
		is := func(argv []string) bool { return slices.Equal(argv, q.Command) }
		if !slices.ContainsFunc(list, is) {
			list = listed()
		}
		refuse := "it is not in the configuration"
		if len(q.Command) > 0 && slices.ContainsFunc(list, is) {
			refuse = "too many commands wait"
			if r.Submit(Command{q.Command}, q.Event, func(res Result) {
				a := answer{ID: q.ID, Result: res}
				if res.Err != nil {
					a.Err, a.Result.Err = res.Err.Error(), nil
				}
				say(a)
			}) {
				continue
			}
		}
		say(answer{ID: q.ID, Result: Result{Event: q.Event, Argv: q.Command}, Err: refuse})
	}
}
