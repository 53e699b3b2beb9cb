// SPDX-License-Identifier: MIT

package beside

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"picket/internal/config"
	"picket/internal/event"
	"picket/internal/journal"
	"picket/internal/task"
)

// A Block is a block in force, or one that has just ended.
type Block struct {
	Source    netip.Prefix
	Event     event.Event
	Maker     event.Maker
	Address   netip.Addr // that was seen, where the source is a prefix
	Renewed   bool       // the kernel had lost it: no news
	Commanded bool       // the operator's command has run for it; the actions set it
}

// A Book has the blocks in force.
type Book interface {
	// Which returns the sources of the blocks for which ok holds. It waits for the
	// owner of the book, who calls ok.
	Which(ctx context.Context, ok func(*Block) bool) ([]netip.Prefix, error)
}

// An action is one thing that is done beside blocks. It gets the configuration in force.
// The owner of the book calls blocked and ended, the judge calls decided: these three must
// not wait. The daemon calls the others. Idle does nothing in each of them.
type action interface {
	tasks() []task.Task
	begin(c *config.Config) // once, before the first block
	// settle puts what an earlier run left in line with the book, once that is what
	// the kernel has.
	settle(ctx context.Context, c *config.Config)
	configure(c, before *config.Config)    // c is in force from here on
	reopen(c *config.Config)               // others may have moved or changed what the action keeps
	fixed(c, before *config.Config) string // keeps what changes only with a restart; "" or the keys
	blocked(c *config.Config, b *Block)
	ended(c *config.Config, b *Block, ev event.Event)
	decided(c *config.Config, ev event.Event) // something was to be done that is no block
	count(c *config.Config)                   // tells what was left out since the last time
	remove(out io.Writer, c *config.Config, blocks []netip.Prefix) error
}

// A Set is the actions of one run.
type Set struct {
	config   atomic.Pointer[config.Config]
	journal  *journal.Writer
	commands *commands
	actions  []action
	group    task.Group
	busy     *task.Bell // there may be something to count
}

// New returns the actions as c says. They tell in j, and ask book.
func New(c *config.Config, open RouteOpener, book Book, j *journal.Writer) *Set {
	s := &Set{journal: j, busy: task.NewBell(), commands: newCommands(c, j)}
	s.actions = []action{
		newRoutes(c, open, book, j),
		newDeny(book, j),
		s.commands,
		newHistory(c, j),
	}
	s.config.Store(c)
	return s
}

// Start begins to act. What an earlier run has left stays until [Set.Settle].
func (s *Set) Start() {
	c := s.config.Load()
	tasks := []task.Task{task.New("count", s.count)}
	for _, a := range s.actions {
		if !c.DryRun {
			a.begin(c)
		}
		tasks = append(tasks, a.tasks()...)
	}
	s.group.Start(context.Background(), func(error) {}, tasks...) // none fails
}

// Settle brings what an earlier run has left beside its blocks in line with the
// book, which is what the kernel has. It waits for the owner of the book.
func (s *Set) Settle(ctx context.Context) {
	s.each(func(a action, c *config.Config) { a.settle(ctx, c) })
}

// each has every action do something, unless this is a dry run.
func (s *Set) each(do func(a action, c *config.Config)) {
	if c := s.config.Load(); !c.DryRun {
		for _, a := range s.actions {
			do(a, c)
		}
	}
}

// Stop ends the actions, and calls back for every block that waits for its
// command: its owner must still run.
func (s *Set) Stop() { s.group.Stop() }

// Configure puts another configuration into force. A dry run adds nothing from
// here on, and undoes what there is as blocks end.
func (s *Set) Configure(c *config.Config) {
	before := s.config.Swap(c)
	for _, a := range s.actions {
		a.configure(c, before)
	}
}

// Reopen opens files anew, which may have been moved away, and puts back what
// others have taken away.
func (s *Set) Reopen() {
	s.each(action.reopen)
}

// Fixed keeps in c what changes only with a restart, and returns the keys of
// what would have changed, "" for none.
func (s *Set) Fixed(c *config.Config) string {
	var keys []string
	for _, a := range s.actions {
		if k := a.fixed(c, s.config.Load()); k != "" {
			keys = append(keys, k)
		}
	}
	return strings.Join(keys, " and ")
}

// Blocked does what stands beside a block that the kernel has acknowledged.
func (s *Set) Blocked(b *Block) {
	s.busy.Ring()
	s.each(func(a action, c *config.Config) { a.blocked(c, b) })
}

// Ended undoes it. Ev is the event of the end.
func (s *Set) Ended(b *Block, ev event.Event) {
	s.busy.Ring()
	c := s.config.Load()
	for _, a := range s.actions {
		a.ended(c, b, ev)
	}
}

// Decided does what a decision without a block asks for.
func (s *Set) Decided(ev event.Event) {
	s.busy.Ring()
	s.each(func(a action, c *config.Config) { a.decided(c, ev) })
}

// Before has the command run ahead of a block, if that is what is wanted. Done
// is called when it has ended, from another goroutine.
func (s *Set) Before(b *Block, done func()) bool {
	s.busy.Ring()
	c := s.config.Load()
	return !c.DryRun && s.commands.before(c, b, done)
}

// Every reports whether a further probe of a source that was reacted to by
// running the command is to run it again.
func (s *Set) Every() bool {
	c := s.config.Load()
	return c.Run.Every && !c.DryRun
}

// Again runs the command for a further probe.
func (s *Set) Again(ev event.Event) {
	s.busy.Ring()
	s.commands.again(ev)
}

// countEvery is how often it is told at most what was left out.
const countEvery = 10 * time.Second

func (s *Set) count(ctx context.Context) error {
	for more := true; more; {
		if more = s.busy.Wait(ctx); more {
			select {
			case <-time.After(countEvery):
			case <-ctx.Done():
			}
		}
		for _, a := range s.actions {
			a.count(s.config.Load())
		}
	}
	return nil
}

// Remove undoes what a run that has ended left beside its blocks, and writes to
// out what that was. What cannot be undone keeps nothing else from it.
func Remove(out io.Writer, c *config.Config, blocks []netip.Prefix) error {
	return New(c, OpenRoutes, nil, nil).remove(out, c, blocks)
}

func (s *Set) remove(out io.Writer, c *config.Config, blocks []netip.Prefix) error {
	var errs []error
	for _, a := range s.actions {
		errs = append(errs, a.remove(out, c, blocks))
	}
	return errors.Join(errs...)
}

// idle is what an action does not do.
type idle struct{}

func (idle) tasks() []task.Task                                     { return nil }
func (idle) begin(*config.Config)                                   {}
func (idle) settle(context.Context, *config.Config)                 {}
func (idle) configure(_, _ *config.Config)                          {}
func (idle) reopen(*config.Config)                                  {}
func (idle) fixed(_, _ *config.Config) string                       { return "" }
func (idle) blocked(*config.Config, *Block)                         {}
func (idle) ended(*config.Config, *Block, event.Event)              {}
func (idle) decided(*config.Config, event.Event)                    {}
func (idle) count(*config.Config)                                   {}
func (idle) remove(io.Writer, *config.Config, []netip.Prefix) error { return nil }
