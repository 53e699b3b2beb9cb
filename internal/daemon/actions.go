// SPDX-License-Identifier: MIT

package daemon

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"picket/engine"
	"picket/internal/config"
	"picket/internal/event"
	"picket/internal/history"
	"picket/internal/hook"
	"picket/internal/hostsdeny"
	"picket/internal/journal"
	"picket/internal/resolve"
	"picket/internal/route"
)

// The actions are what is done beside the block: commands, routes, lines of
// hosts.deny, history, names. Each is done by a goroutine of its own behind a
// queue that is bounded; the judge and the blocker hand over and go on.
type actions struct {
	journal *journal.Writer
	blocker *blocker
	set     atomic.Pointer[settings]

	runner   *hook.Runner
	names    *resolve.Resolver
	recorder *recorder
	routes   *keeper
	deny     *keeper
	failures failures
	unrouted atomic.Bool // there should be routes, and the table could not be opened

	mu      sync.Mutex
	waiting map[netip.Prefix]*blockWork // blocks whose command comes first

	cancel context.CancelFunc // nil before start
	owners sync.WaitGroup
}

// settings are a configuration with its commands parsed.
type settings struct {
	*config.Config
	command, end hook.Command
}

func newSettings(c *config.Config) *settings {
	// Parse has checked them when the configuration was read.
	command, _ := hook.Parse(c.Run.Command)
	end, _ := hook.Parse(c.Run.End)
	return &settings{c, command, end}
}

func newActions(c *config.Config, b *blocker, j *journal.Writer) *actions {
	a := &actions{
		journal: j, blocker: b, runner: hook.New(c.Run.Hooks()), recorder: newRecorder(j), waiting: map[netip.Prefix]*blockWork{},
		names:  resolve.New(resolve.Config{Confirm: c.Resolve.Confirm, Timeout: time.Duration(c.Resolve.Timeout), TTL: time.Duration(c.Resolve.Keep)}),
		routes: newKeeper("routes", j, 10*time.Millisecond),
		deny:   newKeeper("hosts.deny", j, 100*time.Millisecond), // each handing over rewrites the file
	}
	a.failures.journal = j
	a.set.Store(newSettings(c))
	a.routes.all = func(ctx context.Context) ([]netip.Prefix, error) { return a.book(ctx, a.routed) }
	a.deny.all = func(ctx context.Context) ([]netip.Prefix, error) {
		return a.book(ctx, func(*entry) bool { return true })
	}
	return a
}

// book returns the blocks for which ok holds.
func (a *actions) book(ctx context.Context, ok func(*entry) bool) (out []netip.Prefix, err error) {
	err = a.blocker.call(ctx, func() error {
		for p, e := range a.blocker.book {
			if ok(e) {
				out = append(out, p)
			}
		}
		return nil
	})
	return out, err
}

// start begins to act. Routes and hosts.deny stay as an earlier run left them
// until settle.
func (a *actions) start() {
	if c := a.set.Load().Config; !c.DryRun {
		a.recorder.configure(c.History)
	}
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel = cancel
	// Neither returns an error.
	a.owners.Go(func() { _ = a.runner.Run(ctx) })
	a.owners.Go(func() { _ = a.names.Run(ctx) })
	a.owners.Go(func() { a.recorder.run(ctx) })
	a.owners.Go(func() { a.routes.run(ctx) })
	a.owners.Go(func() { a.deny.run(ctx) })
	a.owners.Go(func() { a.count(ctx) })
}

// standing returns the routes that an earlier run has left.
func (a *actions) standing() []netip.Prefix {
	t, err := route.Open(a.set.Load().Route.Config())
	if err != nil {
		return nil // settle tells
	}
	defer t.Close()
	list, _ := t.List()
	return list
}

// keep has blocks keep the routes of an earlier run, which had its reasons. It
// is for the blocker.
func (a *actions) keep(standing []netip.Prefix) {
	for _, p := range standing {
		if e := a.blocker.book[p]; e != nil {
			e.routed = true
		}
	}
}

// settle brings what an earlier run has left beside its blocks in line with the
// book, once that is known to be what the kernel has.
func (a *actions) settle() {
	if c := a.set.Load().Config; !c.DryRun {
		a.openRoutes(c)
		a.openDeny(c)
	}
}

// stop ends the actions. Blocks that waited for their command are made, so the
// blocker must still run.
func (a *actions) stop() {
	if a.cancel != nil {
		a.cancel()
		a.owners.Wait()
	}
}

func (a *actions) openRoutes(c *config.Config) {
	t, err := route.Open(c.Route.Config())
	switch {
	case err == nil:
		a.routes.set(routes{t}, c.Route.Type != route.None)
		a.unrouted.Store(false)
	case c.Route.Type != route.None: // or the table is somebody else's and none of our business
		a.journal.Notice("", "routes: %v", err)
		a.unrouted.Store(true)
	}
}

func (a *actions) openDeny(c *config.Config) {
	f, err := hostsdeny.New(c.HostsDeny.File, cmp.Or(c.HostsDeny.Line, hostsdeny.FormatPlain))
	if err != nil {
		a.journal.Notice("", "hosts.deny: %v", err)
		return
	}
	a.deny.set(denyFile{f}, c.HostsDeny.Line != "")
}

// denyFile is a hosts.deny as a holder.
type denyFile struct{ *hostsdeny.File }

// Close implements holder.
func (denyFile) Close() {}

// configure puts another configuration into force. A dry run adds nothing from
// here on, and undoes what there is as blocks end.
func (a *actions) configure(c *config.Config) {
	before := a.set.Swap(newSettings(c)).Config
	if c.DryRun {
		return
	}
	if before.DryRun || c.Route != before.Route || a.unrouted.Load() {
		a.openRoutes(c)
	}
	if before.DryRun || c.HostsDeny != before.HostsDeny {
		a.openDeny(c)
	}
	if before.DryRun || c.History != before.History {
		a.recorder.configure(c.History)
	}
}

// reload opens the files anew, which may have been moved away, and puts back
// what others have taken out of the routing table or of hosts.deny.
func (a *actions) reload() {
	if c := a.set.Load(); !c.DryRun {
		a.recorder.configure(c.History)
		a.routes.renew()
		a.deny.renew()
	}
}

// keepBounds keeps in c what changes only with a restart, and reports whether
// it would have changed.
func keepBounds(c, before *config.Config) bool {
	run, names := c.Run, c.Resolve
	c.Run.Timeout, c.Run.Parallel, c.Run.Queue = before.Run.Timeout, before.Run.Parallel, before.Run.Queue
	c.Resolve.Confirm, c.Resolve.Timeout, c.Resolve.Keep = before.Resolve.Confirm, before.Resolve.Timeout, before.Resolve.Keep
	return names != c.Resolve || run.Hooks() != c.Run.Hooks()
}

// byHand reports whether a person ordered the block.
func byHand(ev *event.Event) bool { return ev.Config == handmade }

// handmade is the setting behind a block by hand.
const handmade = "by hand"

// routed reports whether a block has a route beside it.
func (a *actions) routed(e *entry) bool {
	return e.routed || e.event.Proven || byHand(&e.event) || a.set.Load().Route.Unproven
}

// before has the command run ahead of the block, if that is what is wanted,
// and takes charge of the block then. It is for the blocker.
func (a *actions) before(w *blockWork) bool {
	s := a.set.Load()
	if w.commanded || byHand(&w.event) || s.DryRun || s.Run.When != config.Before || s.command.IsZero() || !w.event.Proven && !s.Run.Unproven {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waiting[w.source] != nil {
		return true // its packets still come because its command still runs
	}
	if w.renew {
		return false
	}
	a.waiting[w.source] = w
	if !a.runner.Submit(s.command, w.event, func(r hook.Result) { a.result(r); a.goOn(w) }) {
		delete(a.waiting, w.source)
		return false // and no command: count tells
	}
	return true
}

// goOn makes the block whose command is done, unless it is no longer wanted.
func (a *actions) goOn(w *blockWork) {
	a.mu.Lock()
	wanted := a.waiting[w.source] == w
	if wanted {
		delete(a.waiting, w.source)
	}
	a.mu.Unlock()
	if !wanted {
		return
	}
	w.commanded, w.seen = true, time.Time{} // the time it took says nothing about the kernel
	if !a.blocker.block(w) {
		a.blocker.lost(w.source)
		a.journal.Notice("", "could not block %s: %d blocks wait for the kernel already", w.source, queueLength)
	}
}

// forget calls off the blocks that wait for their command and for which which
// holds, and returns how many these are.
func (a *actions) forget(which func(netip.Prefix) bool) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for p := range a.waiting {
		if which(p) {
			delete(a.waiting, p)
			a.blocker.lost(p)
			n++
		}
	}
	return n
}

// acted does what a decision without a block asks for. It is for the judge.
func (a *actions) acted(ev event.Event) {
	s := a.set.Load()
	if s.DryRun {
		return
	}
	if ev.Action == engine.Run.String() {
		a.runner.Submit(s.command, ev, a.result) // count tells of a refusal
	}
	a.record(ev, netip.Addr{})
}

// every reports whether a further probe of a source that was reacted to is to
// run the command again.
func (a *actions) every(p *config.Protocol) bool {
	s := a.set.Load()
	return s.Run.Every && !s.DryRun && p.Action == engine.Run
}

// again runs the command for a further probe.
func (a *actions) again(ev event.Event) {
	ev.Action, ev.Reason = engine.Run.String(), "a further probe above the trigger"
	a.runner.Submit(a.set.Load().command, ev, a.result)
}

// blocked does what stands beside a block that the kernel has acknowledged.
// It is for the blocker.
func (a *actions) blocked(e *entry, w *blockWork) {
	s := a.set.Load()
	e.commanded = e.commanded || w.commanded
	if s.DryRun {
		return
	}
	if a.routed(e) {
		a.routes.add(e.source)
	}
	a.deny.add(e.source)
	if !e.commanded && !s.command.IsZero() && (e.event.Proven || byHand(&e.event) || s.Run.Unproven) {
		e.commanded = true
		a.runner.Submit(s.command, e.event, a.result)
	}
	if !w.renew {
		a.record(e.event, w.address)
	}
}

// ended undoes it. It is for the blocker.
func (a *actions) ended(e *entry, ev event.Event) {
	s := a.set.Load()
	a.routes.remove(e.source)
	a.deny.remove(e.source)
	if e.commanded && !s.end.IsZero() {
		a.runner.Submit(s.end, ev, a.result)
	}
	if !s.DryRun {
		a.record(ev, netip.Addr{})
	}
}

// record writes an event into the history, with the name of its source if
// names are wanted, once that is known. The address is what was seen where the
// source is a prefix.
func (a *actions) record(ev event.Event, address netip.Addr) {
	s := a.set.Load()
	if s.History.File == "" && s.History.Blocked == "" && !s.Resolve.Enable {
		return
	}
	rec := history.Record{Event: ev, Address: address, Zone: time.Local}
	if p, ok := config.ParseSource(ev.Source); ok && !address.IsValid() && p.IsSingleIP() {
		address = p.Addr()
	}
	if s.Resolve.Enable && address.IsValid() {
		a.names.Lookup(address, func(name string) {
			rec.Name = name
			if name != "" && ev.Event != "expire" && ev.Event != "unblock" {
				a.journal.Event(event.Event{Event: "notice", Time: time.Now(), Source: ev.Source, Proven: ev.Proven, Reason: fmt.Sprintf("%s calls itself %s", address, name)})
			}
			a.recorder.queue.Put(rec)
		})
		return
	}
	a.recorder.queue.Put(rec)
}
