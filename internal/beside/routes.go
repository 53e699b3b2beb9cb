// SPDX-License-Identifier: MIT

package beside

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"picket/internal/config"
	"picket/internal/event"
	"picket/internal/journal"
	"picket/internal/route"
	"picket/internal/task"
)

// routes are blackhole routes, [route].
type routes struct {
	idle
	journal  *journal.Writer
	book     Book
	syncer   *syncer
	open     RouteOpener
	missing  atomic.Bool // routes are wanted, and the table could not be opened
	unproven atomic.Bool // unproven blocks have a route too

	mu       sync.Mutex
	standing map[netip.Prefix]bool // blocks with a route of an earlier run
}

// A RouteTable has the methods of a [route.Table] in use here.
type RouteTable interface {
	holder
	List() ([]netip.Prefix, error)
}

// A RouteOpener opens the routing table of a configuration: [OpenRoutes].
type RouteOpener func(route.Config) (RouteTable, error)

func newRoutes(c *config.Config, open RouteOpener, book Book, j *journal.Writer) *routes {
	r := &routes{journal: j, book: book, syncer: newSyncer("routes", j, 10*time.Millisecond), open: open}
	r.unproven.Store(c.Route.Unproven)
	r.syncer.all = func(ctx context.Context) ([]netip.Prefix, error) { return r.book.Sources(ctx, r.wanted) }
	return r
}

// OpenRoutes opens the kernel's table.
func OpenRoutes(c route.Config) (RouteTable, error) {
	t, err := route.Open(c)
	if err != nil {
		return nil, err
	}
	return kernelRoutes{t}, nil
}

func (r *routes) tasks() []task.Task { return []task.Task{task.New("routes", r.syncer.run)} }

// wanted reports whether a block has a route beside it.
func (r *routes) wanted(b *Block) bool {
	return b.Event.Proven || b.Maker.Ordered() || r.unproven.Load() || r.stands(b)
}

// stands reports whether a block has a route of an earlier run.
func (r *routes) stands(b *Block) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.standing[b.Source]
}

// settle adopts the routes of an earlier run beside blocks in force.
func (r *routes) settle(ctx context.Context, c *config.Config) {
	if t, err := r.open(c.Route.Config()); err == nil { // sync reports an error
		list, _ := t.List()
		t.Close()
		r.stand(ctx, list)
	}
	r.sync(c)
}

func (r *routes) stand(ctx context.Context, list []netip.Prefix) {
	found := make(map[netip.Prefix]bool, len(list))
	for _, p := range list {
		found[p] = true
	}
	r.mu.Lock()
	r.standing = found // from here on the end of a block is seen
	r.mu.Unlock()
	blocks, err := r.book.Sources(ctx, r.stands)
	if err != nil {
		return // picket stops
	}
	still := make(map[netip.Prefix]bool, len(blocks))
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range blocks {
		if r.standing[p] {
			still[p] = true
		}
	}
	r.standing = still
}

// sync gives the table to the syncer, to fill it or to empty it.
func (r *routes) sync(c *config.Config) {
	t, err := r.open(c.Route.Config())
	switch {
	case err == nil:
		r.syncer.set(t, c.Route.Type != route.None)
		r.missing.Store(false)
	case c.Route.Type != route.None: // else the table is somebody else's
		r.journal.Notice("", "routes: %v", err)
		r.missing.Store(true)
	}
}

func (r *routes) configure(c, before *config.Config) {
	r.unproven.Store(c.Route.Unproven)
	if !c.DryRun && (before.DryRun || c.Route != before.Route || r.missing.Load()) {
		r.sync(c)
	}
}

func (r *routes) reopen(*config.Config) { r.syncer.renew() }

func (r *routes) blocked(_ *config.Config, b *Block) {
	if r.wanted(b) {
		r.syncer.add(b.Source)
	}
}

func (r *routes) ended(_ *config.Config, b *Block, _ event.Event) {
	r.mu.Lock()
	delete(r.standing, b.Source)
	r.mu.Unlock()
	r.syncer.remove(b.Source)
}

// remove removes routes and rules, also those of an earlier configuration with the
// same table.
func (r *routes) remove(out io.Writer, c *config.Config, _ []netip.Prefix) error {
	t, err := r.open(c.Route.Config())
	if err != nil {
		if c.Route.Type == route.None {
			return nil // the table is somebody else's
		}
		return err
	}
	defer t.Close()
	list, err := t.List()
	if err == nil {
		err = t.Clear()
	}
	if err != nil || len(list) == 0 {
		return err
	}
	_, err = fmt.Fprintf(out, "removed %d routes of table %d\n", len(list), c.Route.Table)
	return err
}

// kernelRoutes is a routing table as a holder.
type kernelRoutes struct{ *route.Table }

// Update implements holder.
func (r kernelRoutes) Update(add, remove []netip.Prefix) error {
	if err := r.Add(add...); err != nil {
		return err
	}
	return r.Remove(remove...)
}

// Replace implements holder.
func (r kernelRoutes) Replace(all []netip.Prefix) error { return r.Sync(all) }
