// SPDX-License-Identifier: MIT

package beside

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"picket/internal/journal"
)

// A keeper keeps a holder in step with the blocks: the routes, or the lines of
// hosts.deny. It gathers changes for a moment, and its own goroutine hands them over;
// nobody waits. After a failure, or with too many changes, it hands everything over
// anew, from the book of blocks.
type keeper struct {
	trouble *journal.Trouble
	gather  time.Duration
	all     func(context.Context) ([]netip.Prefix, error) // everything that must be there

	holder holder // in use, for the goroutine; nil: none

	mu      sync.Mutex
	next    holder // replaces holder if swap
	swap    bool
	keep    bool                  // next is to be filled; false: emptied, and let go
	changes map[netip.Prefix]bool // true: add
	whole   bool                  // changes are not all

	wake chan struct{}
}

// A holder has routes, or lines of a file. Only its keeper's goroutine calls it.
type holder interface {
	Update(add, remove []netip.Prefix) error
	Replace(all []netip.Prefix) error
	Clear() error
	Close()
}

// gathered is how many changes wait to be handed over at most, 16 bytes of address
// each; the blocks of several seconds.
const gathered = 1 << 16

// After a failure the keeper tries again, first after the first of these, and at last
// after the second.
const (
	retryFirst = 10 * time.Second
	retryLast  = 10 * time.Minute
)

func newKeeper(what string, j *journal.Writer, gather time.Duration) *keeper {
	return &keeper{
		trouble: journal.NewTrouble(j, what), gather: gather,
		changes: map[netip.Prefix]bool{}, wake: make(chan struct{}, 1),
	}
}

// set replaces the holder with h, and empties the old one. With keep unset, h is
// emptied too: an earlier run may have left something there.
func (k *keeper) set(h holder, keep bool) {
	k.mu.Lock()
	if k.swap {
		k.next.Close()
	}
	k.next, k.swap, k.keep = h, true, keep
	k.mu.Unlock()
	k.ring()
}

// add and remove note one change. They never wait for more than a map.
func (k *keeper) add(p netip.Prefix)    { k.change(p, true) }
func (k *keeper) remove(p netip.Prefix) { k.change(p, false) }

func (k *keeper) change(p netip.Prefix, add bool) {
	k.mu.Lock()
	if len(k.changes) >= gathered {
		k.whole = true
		clear(k.changes)
	}
	if !k.whole {
		k.changes[p] = add
	}
	k.mu.Unlock()
	k.ring()
}

// renew asks for everything to be handed over anew.
func (k *keeper) renew() {
	k.mu.Lock()
	k.whole = true
	k.mu.Unlock()
	k.ring()
}

func (k *keeper) ring() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// run works until ctx ends, and then hands over the last changes.
func (k *keeper) run(ctx context.Context) error {
	after := retryFirst
	retry := time.NewTimer(after)
	retry.Stop()
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			k.trouble.Tell(k.work(ctx))
			k.close()
			return nil
		case <-retry.C:
		case <-k.wake:
			select {
			case <-ctx.Done():
			case <-time.After(k.gather):
			}
		}
		err := k.work(ctx)
		k.trouble.Tell(err)
		if err == nil {
			after = retryFirst
			continue
		}
		k.mu.Lock()
		k.whole = true
		k.mu.Unlock()
		retry.Reset(after)
		after = min(2*after, retryLast)
	}
}

// work carries out a swap of holders, and hands over the changes.
func (k *keeper) work(ctx context.Context) error {
	k.mu.Lock()
	next, swap, keep := k.next, k.swap, k.keep
	changes, whole := k.changes, k.whole || swap
	k.next, k.swap, k.whole, k.changes = nil, false, false, map[netip.Prefix]bool{}
	k.mu.Unlock()
	if swap {
		if err := k.exchange(next, keep); err != nil {
			k.again(next, keep)
			return err
		}
	}
	h := k.holder
	switch {
	case h == nil:
		return nil
	case whole && ctx.Err() == nil:
		all, err := k.all(ctx)
		if err != nil {
			return nil // picket stops
		}
		return h.Replace(all)
	}
	var add, remove []netip.Prefix
	for p, wanted := range changes {
		if wanted {
			add = append(add, p)
		} else {
			remove = append(remove, p)
		}
	}
	if len(add)+len(remove) == 0 {
		return nil
	}
	return h.Update(add, remove)
}

// exchange empties the old holder. If that fails the old one stays open and in use,
// and all is done again later.
func (k *keeper) exchange(next holder, keep bool) error {
	if k.holder != nil {
		if err := k.holder.Clear(); err != nil {
			return err
		}
		k.holder.Close()
		k.holder = nil
	}
	if keep {
		k.holder = next
		return nil
	}
	if err := next.Clear(); err != nil {
		return err
	}
	next.Close()
	return nil
}

// again asks for a failed swap once more, unless there is a newer one.
func (k *keeper) again(next holder, keep bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.swap {
		next.Close()
		return
	}
	k.next, k.swap, k.keep = next, true, keep
}

func (k *keeper) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.holder != nil {
		k.holder.Close()
	}
	if k.swap {
		k.next.Close()
	}
}
