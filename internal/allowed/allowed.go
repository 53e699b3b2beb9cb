// SPDX-License-Identifier: MIT

// Package allowed has the friends by command, of "picket allow": each with its end and
// its reason, and the file by which they outlive the daemon.
//
// It refuses an address that is everybody's, and more than 100,000 friends. What
// being a friend means is up to who puts the list into force.
package allowed

import (
	"cmp"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"picket/internal/addresses"
	"picket/internal/config"
	"picket/internal/control"
	"picket/internal/event"
	"picket/internal/journal"
	"picket/internal/state"
)

// A Friend is an address or a prefix that is allowed by command.
type Friend struct {
	Source netip.Prefix
	Since  time.Time
	Until  time.Time // zero: for good
	Reason string
}

// Why says why nothing is held against the friend.
func (f Friend) Why() string {
	if f.Reason == "" {
		return "allowed by command"
	}
	return "allowed by command: " + f.Reason
}

// outlasts reports whether f goes on when another one with that end is over.
func (f Friend) outlasts(until time.Time) bool {
	return !until.IsZero() && (f.Until.IsZero() || f.Until.After(until))
}

// most bounds what one transaction has to put into the sets of friends.
const most = 100_000

// A List is friends by command, by source. What is in force is never changed in place.
type List map[netip.Prefix]Friend

// without returns those that are not over.
func (l List) without(now time.Time) List {
	l = maps.Clone(l)
	maps.DeleteFunc(l, func(_ netip.Prefix, f Friend) bool {
		return !f.Until.IsZero() && !f.Until.After(now)
	})
	return l
}

// sorted returns them in the order in which they came.
func (l List) sorted() []Friend {
	return slices.SortedFunc(maps.Values(l), func(a, b Friend) int {
		return cmp.Or(a.Since.Compare(b.Since), a.Source.Compare(b.Source))
	})
}

// next returns when the first of them ends, and whether one does.
func (l List) next() (first time.Time, ends bool) {
	for _, f := range l {
		if !f.Until.IsZero() && (!ends || f.Until.Before(first)) {
			first, ends = f.Until, true
		}
	}
	return first, ends
}

// add adds a friend. One that is allowed for longer already stays so.
func (l List) add(f Friend, out *control.Outcome) error {
	if _, why := addresses.Parse(f.Source.String()); why != "" {
		return fmt.Errorf("%s %s", f.Source, why)
	}
	old, is := l[f.Source]
	switch {
	case is && old.outlasts(f.Until):
		out.Expires, out.Kept = old.Until, true
		return nil
	case !is && len(l) >= most:
		return fmt.Errorf("%s is not allowed: there are %d already; a list this long belongs in ignore.files",
			out.Name, most)
	}
	l[f.Source], out.Expires = f, f.Until
	return nil
}

// remove takes a friend out. An error says which friend p is a part of.
func (l List) remove(p netip.Prefix) error {
	if _, is := l[p]; is {
		delete(l, p)
		return nil
	}
	for _, f := range l {
		if f.Source.Bits() < p.Bits() && f.Source.Contains(p.Addr()) {
			return fmt.Errorf("%s is allowed as part of %s: \"picket unallow %s\" ends that",
				event.SourceName(p), f.Source, f.Source)
		}
	}
	return fmt.Errorf("%s is not allowed by command: \"picket allowed\" lists who is", event.SourceName(p))
}

// File is where the friends lie: beside the state file, since they must not be lost
// with it, and are saved before it is said that they are.
func File() state.File { return state.Of("allowed", 1) }

func (l List) save() error {
	return File().Save(func(w io.Writer) error { return gob.NewEncoder(w).Encode(l.sorted()) })
}

// A Keeper keeps the list. Any goroutine may use it.
type Keeper struct {
	journal *journal.Writer
	force   func(context.Context, List) error
	changed chan struct{} // for Watch

	mu   sync.Mutex
	list List
}

// New returns a keeper of an empty list. It has force put each list into force, one
// after the other; a list that cannot be is not kept.
func New(force func(context.Context, List) error, j *journal.Writer) *Keeper {
	return &Keeper{journal: j, force: force, changed: make(chan struct{}, 1), list: List{}}
}

// Recall reads the file and returns the list; the caller puts it into force. A file that
// is of no use is an entry of the journal.
func (k *Keeper) Recall(now time.Time) List {
	k.mu.Lock()
	defer k.mu.Unlock()
	var friends []Friend
	if _, err := File().Load(func(r io.Reader) error {
		return gob.NewDecoder(r).Decode(&friends)
	}); err != nil {
		kind := ""
		if errors.Is(err, state.ErrSetAside) {
			kind = journal.StateAside
		}
		k.journal.Notice(kind, "nobody is allowed by command: %v", err)
		return k.list
	}
	list := List{}
	for _, f := range friends {
		if f.Source.IsValid() {
			list[f.Source] = f
		}
	}
	k.list = list.without(now)
	return k.list
}

// Allow makes the sources of a request friends, for a time or for good. One that is
// allowed for longer already stays so.
func (k *Keeper) Allow(ctx context.Context, r control.Request) ([]*control.Outcome, error) {
	now := time.Now()
	var until time.Time
	if r.For != "" {
		length, err := config.ParseDuration(r.For)
		if err != nil {
			return nil, err
		}
		until = now.Add(time.Duration(length))
	}
	return k.change(ctx, r, "allowed", func(list List, p netip.Prefix, out *control.Outcome) error {
		return list.add(Friend{p, now, until, r.Reason}, out)
	})
}

// Unallow ends what Allow began, of some sources or of all.
func (k *Keeper) Unallow(ctx context.Context, r control.Request) ([]*control.Outcome, error) {
	if r.All {
		for _, f := range k.List(time.Now()) {
			r.Sources = append(r.Sources, f.Source.String())
		}
	}
	return k.change(ctx, r, "no longer allowed", func(list List, p netip.Prefix, _ *control.Outcome) error {
		return list.remove(p)
	})
}

// change has f work on the list for each source of a request, puts the outcome into
// force as a whole, and saves it. Done is what became of each.
func (k *Keeper) change(
	ctx context.Context, r control.Request, done string, f func(List, netip.Prefix, *control.Outcome) error,
) ([]*control.Outcome, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	list := maps.Clone(k.list)
	out, err := control.Single(r.Each(func(p netip.Prefix, o *control.Outcome) error {
		return f(list, p, o)
	}))
	if err != nil {
		return nil, err
	}
	if err := k.force(ctx, list); err != nil {
		return nil, err
	}
	k.list = list
	select {
	case k.changed <- struct{}{}:
	default: // Watch will look at these too
	}
	k.tell(r, done, out)
	if err := list.save(); err != nil {
		return out, fmt.Errorf("it is done, and will not outlive the daemon: %w", err)
	}
	return out, nil
}

// tellEach is how many sources of one request are told one by one.
const tellEach = 100

// tell reports new and ended friendships to the journal.
func (k *Keeper) tell(r control.Request, done string, out []*control.Outcome) {
	tail := ""
	if r.For != "" {
		tail = " for " + r.For
	}
	if r.Reason != "" {
		tail += ": " + r.Reason
	}
	changed := slices.DeleteFunc(slices.Clone(out), func(o *control.Outcome) bool {
		return o.Error != "" || o.Kept
	})
	if len(changed) > tellEach {
		k.journal.Notice("", "%d sources are %s by command%s", len(changed), done, tail)
		return
	}
	for _, o := range changed {
		k.journal.Notice("", "%s is %s by command%s", o.Name, done, tail)
	}
}

// List lists the friends, in the order in which they came.
func (k *Keeper) List(now time.Time) []control.Allowed {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := []control.Allowed{}
	for _, f := range k.list.without(now).sorted() {
		out = append(out, control.Allowed{
			Source: f.Source, Name: event.SourceName(f.Source), Since: f.Since, Expires: f.Until,
			Reason: f.Reason,
		}.At(now))
	}
	return out
}

// again is how long Watch waits after a list could not be put into force.
const again = time.Second

// Watch ends friendships when their time is over, until ctx ends.
func (k *Keeper) Watch(ctx context.Context) error {
	trouble := journal.NewTrouble(k.journal, "ending what is allowed for a time")
	for {
		k.mu.Lock()
		first, ends := k.list.next()
		k.mu.Unlock()
		var over <-chan time.Time
		if ends {
			over = time.After(max(time.Until(first), 0))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-k.changed:
		case now := <-over:
			err := k.expire(ctx, now)
			if ctx.Err() != nil {
				return nil
			}
			if trouble.Tell(err); err != nil {
				time.Sleep(again)
			}
		}
	}
}

func (k *Keeper) expire(ctx context.Context, now time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	was, list := k.list, k.list.without(now)
	if err := k.force(ctx, list); err != nil {
		return err
	}
	k.list = list
	for p := range was {
		if _, is := list[p]; !is {
			k.journal.Notice("", "%s is no longer allowed by command: its time is over", event.SourceName(p))
		}
	}
	return list.save()
}
