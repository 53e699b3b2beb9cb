// SPDX-License-Identifier: MIT

package beside

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"picket/internal/journal"
)

// A syncer gives a holder the blocks, as routes or as lines of hosts.deny. It gathers changes
// for a moment, and hands them over in its own goroutine, so nobody waits. After a failure, or
// with too many changes, it hands over the whole book of blocks.
type syncer struct {
	trouble *journal.Trouble
	gather  time.Duration
	all     func(context.Context) ([]netip.Prefix, error) // everything that must be there

	holder holder // in use by the goroutine, nil for none

	mu      sync.Mutex
	next    holder // replaces holder if swap
	swap    bool
	fill    bool                  // next gets the blocks; false: it is emptied and closed
	changes map[netip.Prefix]bool // true: add
	whole   bool                  // changes are not all

	wake chan struct{}
}

// A holder holds routes, or lines of a file. Only its syncer's goroutine calls it.
type holder interface {
	Update(add, remove []netip.Prefix) error
	Replace(all []netip.Prefix) error
	Clear() error
	Close()
}

// gathered is the most changes that wait, with 16 bytes of address each: the blocks of several
// seconds.
const gathered = 1 << 16

// The pauses after a failure: the first one, and the longest one.
const (
	retryFirst = 10 * time.Second
	retryLast  = 10 * time.Minute
)

func newSyncer(what string, j *journal.Writer, gather time.Duration) *syncer {
	return &syncer{
		trouble: journal.NewTrouble(j, what), gather: gather,
		changes: map[netip.Prefix]bool{}, wake: make(chan struct{}, 1),
	}
}

// set replaces the holder with h, and empties the old one. If fill is false, h is emptied too:
// it may have remains of an earlier run.
func (s *syncer) set(h holder, fill bool) {
	s.mu.Lock()
	if s.swap {
		s.next.Close()
	}
	s.next, s.swap, s.fill = h, true, fill
	s.mu.Unlock()
	s.ring()
}

// add and remove note one change. They never wait for more than a map.
func (s *syncer) add(p netip.Prefix)    { s.change(p, true) }
func (s *syncer) remove(p netip.Prefix) { s.change(p, false) }

func (s *syncer) change(p netip.Prefix, add bool) {
	s.mu.Lock()
	if len(s.changes) >= gathered {
		s.whole = true
		clear(s.changes)
	}
	if !s.whole {
		s.changes[p] = add
	}
	s.mu.Unlock()
	s.ring()
}

// renew makes the next update hand over everything.
func (s *syncer) renew() {
	s.mu.Lock()
	s.whole = true
	s.mu.Unlock()
	s.ring()
}

func (s *syncer) ring() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run works until ctx ends, and then hands over the last changes.
func (s *syncer) run(ctx context.Context) error {
	after := retryFirst
	retry := time.NewTimer(after)
	retry.Stop()
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			s.trouble.Tell(s.work(ctx))
			s.close()
			return nil
		case <-retry.C:
		case <-s.wake:
			select {
			case <-ctx.Done():
			case <-time.After(s.gather):
			}
		}
		err := s.work(ctx)
		s.trouble.Tell(err)
		if err == nil {
			after = retryFirst
			continue
		}
		s.mu.Lock()
		s.whole = true
		s.mu.Unlock()
		retry.Reset(after)
		after = min(2*after, retryLast)
	}
}

// work replaces the holder if asked to, and hands over the changes.
func (s *syncer) work(ctx context.Context) error {
	s.mu.Lock()
	next, swap, fill := s.next, s.swap, s.fill
	changes, whole := s.changes, s.whole || swap
	s.next, s.swap, s.whole, s.changes = nil, false, false, map[netip.Prefix]bool{}
	s.mu.Unlock()
	if swap {
		if err := s.exchange(next, fill); err != nil {
			s.again(next, fill)
			return err
		}
	}
	h := s.holder
	switch {
	case h == nil:
		return nil
	case whole && ctx.Err() == nil:
		all, err := s.all(ctx)
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

// exchange empties the old holder. If that fails, the old one stays in use until a later try
// succeeds.
func (s *syncer) exchange(next holder, fill bool) error {
	if s.holder != nil {
		if err := s.holder.Clear(); err != nil {
			return err
		}
		s.holder.Close()
		s.holder = nil
	}
	if fill {
		s.holder = next
		return nil
	}
	if err := next.Clear(); err != nil {
		return err
	}
	next.Close()
	return nil
}

// again repeats a failed replacement, unless a newer one waits.
func (s *syncer) again(next holder, fill bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.swap {
		next.Close()
		return
	}
	s.next, s.swap, s.fill = next, true, fill
}

func (s *syncer) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holder != nil {
		s.holder.Close()
	}
	if s.swap {
		s.next.Close()
	}
}
