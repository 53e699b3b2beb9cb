// SPDX-License-Identifier: MIT

// Package hook runs the operator's commands for events: the successor of
// PortSentry's KILL_RUN_CMD.
//
// A command is a list of arguments. $TARGET$, $PORT$, $MODE$, $PROTOCOL$ and
// $PATTERN$ are replaced inside them, without a shell; the whole event is on
// standard input as one line of JSON, and in the environment as PICKET_EVENT,
// PICKET_SOURCE and so on. The caller decides when it runs: before or after a
// block, or at its end.
//
// Everything is bounded: a command's time, the commands at once, those that wait,
// the output kept. A full queue refuses, and never makes the caller wait. At the
// end of its time a command is killed with its process group, and so is a
// background process that holds its output open.
//
// A failure is called a failure: PortSentry took any exit status for success. It
// needs the right to execute the program, and passes picket's own rights on.
package hook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"picket/internal/event"
	"picket/internal/queue"
	"picket/internal/show"
)

// Errors of a [Result], for errors.Is. A missing program is fs.ErrNotExist, and a
// failed one an *exec.ExitError.
var (
	ErrTimeout  = errors.New("its time was up, so its process group was killed")
	ErrLeftOver = errors.New("it left processes that held its output, so they were killed")
	ErrStopped  = errors.New("picket stops, so it was not run")
)

// Config bounds a [Runner]. A zero field has its default.
type Config struct {
	Timeout  time.Duration // of one command; 30 s
	Parallel int           // commands at once; 4
	Queue    int           // commands that wait; 256
	Output   int           // bytes of output kept of each; 4,096
}

func (c Config) withDefaults() Config {
	if c.Timeout <= 0 {
		c.Timeout = 30 * time.Second
	}
	if c.Parallel <= 0 {
		c.Parallel = 4
	}
	if c.Queue <= 0 {
		c.Queue = 256
	}
	if c.Output <= 0 {
		c.Output = 4096
	}
	return c
}

// A Result is the outcome of a command, for the journal.
type Result struct {
	Event  event.Event
	Argv   []string
	Took   time.Duration
	Output string // both streams, cut to the bound; control characters are replaced
	Cut    bool   // there was more
	Err    error  // nil: exit status 0
}

// A Runner runs commands. Its methods may be called by several goroutines.
type Runner struct {
	conf   Config
	queue  *queue.Queue[job]
	helper *helper // nil: the process itself runs them
}

type job struct {
	command Command
	event   event.Event
	done    func(Result)
}

// New returns a runner; nothing runs before [Runner.Run].
func New(c Config) *Runner {
	c = c.withDefaults()
	return &Runner{conf: c, queue: queue.New[job](c.Queue)}
}

// Submit queues a command and returns at once: false if the queue is full and the
// command will not run. Otherwise done, if not nil, is called once from another
// goroutine when the command has ended or could not start: a block that comes after
// its command is made in done. Commands start in the order of Submit.
func (r *Runner) Submit(c Command, e event.Event, done func(Result)) bool {
	if done == nil {
		done = func(Result) {}
	}
	return r.queue.Put(job{c, e, done})
}

// Refused is the number of commands refused by the full queue.
func (r *Runner) Refused() uint64 { return r.queue.Shed() }

// Run runs commands until ctx is done. Then it kills the running ones, answers the
// waiting ones with [ErrStopped], and returns nil. Submit must not be called after
// that: nobody would answer.
func (r *Runner) Run(ctx context.Context) error {
	one := r.one
	if r.helper != nil {
		one = r.helper.one
		defer r.helper.end()
	}
	var wg sync.WaitGroup
	for range r.conf.Parallel {
		wg.Go(func() {
			r.queue.Each(ctx, func(j job) { j.done(one(ctx, j)) })
		})
	}
	wg.Wait()
	r.queue.Rest(func(j job) {
		j.done(Result{Event: j.event, Argv: j.command.Argv(j.event), Err: ErrStopped})
	})
	return nil
}

// grace is how long the output of an ended command may stay open.
const grace = 2 * time.Second

func (r *Runner) one(ctx context.Context, j job) Result {
	res := Result{Event: j.event, Argv: j.command.Argv(j.event)}
	if j.command.IsZero() {
		res.Err = errors.New("no command")
		return res
	}
	if ctx.Err() != nil {
		res.Err = ErrStopped
		return res
	}
	in, err := json.Marshal(j.event)
	if err != nil {
		res.Err = err
		return res
	}
	env, err := environ(in)
	if err != nil {
		res.Err = err
		return res
	}
	limit, cancel := context.WithTimeoutCause(ctx, r.conf.Timeout, ErrTimeout)
	defer cancel()
	out := &head{max: r.conf.Output}
	cmd := exec.CommandContext(limit, res.Argv[0], res.Argv[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdin = "/", env, bytes.NewReader(append(in, '\n'))
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	kill := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel, cmd.WaitDelay = kill, grace
	start := time.Now()
	err = cmd.Run()
	res.Took = time.Since(start)
	switch {
	case errors.Is(err, exec.ErrWaitDelay):
		_ = kill() // already gone is as good
		err = ErrLeftOver
	case limit.Err() != nil && err != nil:
		err = context.Cause(limit)
		if ctx.Err() != nil {
			err = fmt.Errorf("picket stops, so it was killed: %w", ctx.Err())
		}
	}
	if err != nil {
		res.Err = fmt.Errorf("run %q: %w", res.Argv[0], err)
	}
	res.Output, res.Cut = strings.TrimRight(show.CleanLines(string(out.buf)), "\n"), out.cut
	return res
}

// A head keeps the first bytes written to it and accepts the rest, so that a
// talkative command runs on.
type head struct {
	buf []byte
	max int
	cut bool
}

// Write implements io.Writer and never fails.
func (h *head) Write(b []byte) (int, error) {
	keep := min(len(b), h.max-len(h.buf))
	h.buf = append(h.buf, b[:keep]...)
	h.cut = h.cut || keep < len(b)
	return len(b), nil
}
