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
	Address   netip.Addr // as seen, if the source is a prefix
	Renewed   bool       // the kernel had lost it, and has it again
	Commanded bool       // the operator's command has run for it; the actions set it
}

// A Book is the blocks in force.
type Book interface {
	// Sources returns the sources of the blocks that ok accepts. It waits for the owner of the
	// book, who calls ok.
	Sources(ctx context.Context, ok func(*Block) bool) ([]netip.Prefix, error)
}

// An action is one thing done beside blocks. It gets the configuration in force. The owner of
// the book calls blocked and ended, the judge calls decided: these three must not wait. The
// daemon calls the others. The methods of idle do nothing.
type action interface {
	tasks() []task.Task
	begin(c *config.Config) // once, before the first block
	// settle compares the remains of an earlier run with the book, and corrects them, once the
	// book agrees with the kernel.
	settle(ctx context.Context, c *config.Config)
	configure(c, before *config.Config)    // c is in force from now on
	reopen(c *config.Config)               // others may have moved or changed the action's files
	fixed(c, before *config.Config) string // undoes changes in c that need a restart; their keys or ""
	blocked(c *config.Config, b *Block)
	ended(c *config.Config, b *Block, ev event.Event)
	decided(c *config.Config, ev event.Event) // a decision without a block
	count(c *config.Config)                   // reports how many were left out since the last time
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

// New returns the actions of c. They report in the journal j, and ask book.
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

// Detach has another process of this program run the commands, if there are any: this one
// will be kept from starting programs. That one reads the configuration at path. It comes
// before [Set.Start].
func (s *Set) Detach(path string) error { return s.commands.detach(path) }

// Start starts the actions. The remains of an earlier run stay until [Set.Settle].
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

// Settle compares what an earlier run left beside its blocks with the book, and corrects it,
// once the book agrees with the kernel. It waits for the owner of the book.
func (s *Set) Settle(ctx context.Context) {
	s.each(func(a action, c *config.Config) { a.settle(ctx, c) })
}

// each calls do for every action, unless this is a dry run.
func (s *Set) each(do func(a action, c *config.Config)) {
	if c := s.config.Load(); !c.DryRun {
		for _, a := range s.actions {
			do(a, c)
		}
	}
}

// Stop ends the actions, and calls done for every block that waits for its command:
// the owner of the book must still run.
func (s *Set) Stop() { s.group.Stop() }

// Configure puts another configuration into force. A dry run adds nothing from then on, and
// undoes earlier actions as blocks end.
func (s *Set) Configure(c *config.Config) {
	before := s.config.Swap(c)
	for _, a := range s.actions {
		a.configure(c, before)
	}
}

// Reopen opens files again, as they may have been moved, and restores what others have removed.
func (s *Set) Reopen() {
	s.each(action.reopen)
}

// Fixed undoes changes in c that need a restart, and returns their keys, "" for none.
func (s *Set) Fixed(c *config.Config) string {
	var keys []string
	for _, a := range s.actions {
		if k := a.fixed(c, s.config.Load()); k != "" {
			keys = append(keys, k)
		}
	}
	return strings.Join(keys, " and ")
}

// Blocked acts on a block that the kernel has acknowledged.
func (s *Set) Blocked(b *Block) {
	s.busy.Ring()
	s.each(func(a action, c *config.Config) { a.blocked(c, b) })
}

// Ended undoes the actions of a block. Ev is the event of its end.
func (s *Set) Ended(b *Block, ev event.Event) {
	s.busy.Ring()
	c := s.config.Load()
	for _, a := range s.actions {
		a.ended(c, b, ev)
	}
}

// Decided acts on a decision without a block.
func (s *Set) Decided(ev event.Event) {
	s.busy.Ring()
	s.each(func(a action, c *config.Config) { a.decided(c, ev) })
}

// Before runs the command ahead of a block, if the configuration says so, and then calls done
// from another goroutine. It reports whether it does so.
func (s *Set) Before(b *Block, done func()) bool {
	s.busy.Ring()
	c := s.config.Load()
	return !c.DryRun && s.commands.before(c, b, done)
}

// Every reports whether a further probe runs the command again, for a source whose only
// response is the command.
func (s *Set) Every() bool {
	c := s.config.Load()
	return c.Run.Every && !c.DryRun
}

// Again runs the command for a further probe.
func (s *Set) Again(ev event.Event) {
	s.busy.Ring()
	s.commands.again(ev)
}

// countEvery is the shortest time between reports of what was left out.
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

// Remove undoes what an ended run left beside its blocks, and reports it on out. A
// failure does not stop the rest.
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

// idle has each method that an action may leave out, without effect.
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
