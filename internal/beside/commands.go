// SPDX-License-Identifier: MIT

package beside

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"picket/engine"
	"picket/internal/config"
	"picket/internal/event"
	"picket/internal/hook"
	"picket/internal/journal"
	"picket/internal/task"
)

// commands are the operator's, [run]: beside a block, before it, at its end, and in place of
// one.
type commands struct {
	idle
	journal  *journal.Writer
	runner   *hook.Runner
	parsed   atomic.Pointer[parsed]
	failures failures
	refused  uint64 // reported so far
	never    bool   // this process may start no program
}

// parsed is the commands of a configuration.
type parsed struct{ command, end hook.Command }

func parse(c *config.Config) *parsed {
	// Parse has checked them when the configuration was read.
	command, _ := hook.Parse(c.Run.Command)
	end, _ := hook.Parse(c.Run.End)
	return &parsed{command, end}
}

func newCommands(c *config.Config, j *journal.Writer) *commands {
	x := &commands{journal: j, runner: hook.New(c.Run.Hooks()), failures: failures{journal: j}}
	x.parsed.Store(parse(c))
	return x
}

func (x *commands) tasks() []task.Task { return []task.Task{task.New("commands", x.runner.Run)} }

func (x *commands) configure(c, _ *config.Config) { x.parsed.Store(parse(c)) }

// detach comes before the first block. Without a command there is no process to run one:
// it takes memory, and a restart to have one.
func (x *commands) detach(path string) error {
	if p := x.parsed.Load(); p.command.IsZero() && p.end.IsZero() {
		x.never = true
		return nil
	}
	return x.runner.Detach("helper", "--config", path)
}

func (x *commands) fixed(c, before *config.Config) string {
	if x.never && len(c.Run.Command)+len(c.Run.End) > 0 {
		c.Run = before.Run
		return "run.command, run.end"
	}
	wanted := c.Run.Hooks()
	c.Run.Timeout, c.Run.Parallel, c.Run.Queue = before.Run.Timeout, before.Run.Parallel, before.Run.Queue
	if wanted == c.Run.Hooks() {
		return ""
	}
	return "run.timeout, run.parallel, run.queue"
}

// wanted reports whether the command runs for a block.
func (x *commands) wanted(c *config.Config, b *Block) bool {
	return !x.parsed.Load().command.IsZero() && (b.Event.Proven || b.Maker.Ordered() || c.Run.Unproven)
}

func (x *commands) blocked(c *config.Config, b *Block) {
	if !b.Commanded && x.wanted(c, b) {
		b.Commanded = true
		x.submit(x.parsed.Load().command, b.Event)
	}
}

func (x *commands) ended(_ *config.Config, b *Block, ev event.Event) {
	if end := x.parsed.Load().end; b.Commanded && !end.IsZero() {
		x.submit(end, ev)
	}
}

func (x *commands) decided(_ *config.Config, ev event.Event) {
	if ev.Action == engine.Run.String() {
		x.submit(x.parsed.Load().command, ev)
	}
}

func (x *commands) again(ev event.Event) {
	ev.Action, ev.Reason = engine.Run.String(), "a further probe above the trigger"
	x.submit(x.parsed.Load().command, ev)
}

// before runs the command ahead of a block, except a block by hand: a person waits for that.
func (x *commands) before(c *config.Config, b *Block, done func()) bool {
	if c.Run.When != config.Before || b.Maker.Ordered() || !x.wanted(c, b) {
		return false
	}
	return x.runner.Submit(x.parsed.Load().command, b.Event, func(r hook.Result) {
		x.result(r)
		done()
	})
}

// submit queues a command; count reports a refusal.
func (x *commands) submit(c hook.Command, ev event.Event) { x.runner.Submit(c, ev, x.result) }

// result reports a failed command.
func (x *commands) result(r hook.Result) {
	if r.Err == nil || errors.Is(r.Err, hook.ErrStopped) {
		return
	}
	said := ""
	if r.Output != "" {
		said = "; it said: " + strings.ReplaceAll(r.Output, "\n", " | ")
		if r.Cut {
			said += " (and more, which is cut off)"
		}
	}
	x.failures.tell("command for %s of %s: %v%s", r.Event.Event, r.Event.Source, r.Err, said)
}

func (x *commands) count(c *config.Config) {
	if n := x.runner.Refused(); n != x.refused {
		x.journal.Notice("", "%d commands were not run: %d wait already (run.queue, run.parallel)",
			n-x.refused, c.Run.Queue)
		x.refused = n
	}
	x.failures.rest()
}

// Ends reports whether [Remove] needs the list of blocks.
func Ends(c *config.Config) bool { return len(c.Run.End) > 0 }

// remove runs the command run.end for each block.
func (x *commands) remove(_ io.Writer, c *config.Config, blocks []netip.Prefix) error {
	end, err := hook.Parse(c.Run.End)
	if err != nil || end.IsZero() || len(blocks) == 0 {
		return err
	}
	bounds := c.Run.Hooks()
	bounds.Queue = len(blocks)
	runner := hook.New(bounds)
	results := make(chan hook.Result, len(blocks))
	for _, p := range blocks {
		ev := event.Event{
			Event: "unblock", Time: time.Now(), Source: event.SourceName(p), Action: "none",
			Response: "block", Reason: "picket remove",
		}
		runner.Submit(end, ev, func(r hook.Result) { results <- r }) // the queue has room for all
	}
	var group task.Group
	group.Start(context.Background(), func(error) {}, task.New("commands", runner.Run))
	var first error
	failed := 0
	for range blocks {
		if r := <-results; r.Err != nil {
			failed++
			first = cmp.Or(first, r.Err)
		}
	}
	group.Stop()
	if failed > 0 {
		return fmt.Errorf("run.end failed for %d of %d blocks, first: %w", failed, len(blocks), first)
	}
	return nil
}
