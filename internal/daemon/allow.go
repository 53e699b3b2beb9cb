// SPDX-License-Identifier: MIT

package daemon

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
	"time"

	"picket/internal/addresses"
	"picket/internal/config"
	"picket/internal/control"
	"picket/internal/event"
	"picket/internal/host"
	"picket/internal/journal"
	"picket/internal/state"
)

// An allowance is a friend by command, "picket allow".
type allowance struct {
	Source netip.Prefix
	Since  time.Time
	Until  time.Time // zero: for good
	Reason string
}

func (a allowance) friend() host.Friend {
	why := "allowed by command"
	if a.Reason != "" {
		why += ": " + a.Reason
	}
	return host.Friend{Prefix: a.Source, Why: why}
}

// outlasts reports whether a goes on when another one with that end is over.
func (a allowance) outlasts(until time.Time) bool {
	return a.Until.IsZero() && !until.IsZero() || !until.IsZero() && a.Until.After(until)
}

// mostAllowed bounds what one transaction has to put into the sets of friends.
const mostAllowed = 100_000

// allowances are friends by command. The daemon's mutex is theirs; what is in
// force is never changed in place.
type allowances map[netip.Prefix]allowance

// without returns those that are not over.
func (l allowances) without(now time.Time) allowances {
	l = maps.Clone(l)
	maps.DeleteFunc(l, func(_ netip.Prefix, a allowance) bool { return !a.Until.IsZero() && !a.Until.After(now) })
	return l
}

// sorted returns them in the order in which they came.
func (l allowances) sorted() []allowance {
	return slices.SortedFunc(maps.Values(l), func(a, b allowance) int {
		return cmp.Or(a.Since.Compare(b.Since), a.Source.Compare(b.Source))
	})
}

// next returns when the first of them ends, and whether one does.
func (l allowances) next() (first time.Time, ends bool) {
	for _, a := range l {
		if !a.Until.IsZero() && (!ends || a.Until.Before(first)) {
			first, ends = a.Until, true
		}
	}
	return first, ends
}

// allowedFile is where they are kept: beside the state file, since they must not
// be lost with it, and are saved before it is said that they are.
func allowedFile() state.File { return state.Of("allowed", 1) }

// recallAllowed reads the file, and tells of one that was of no use.
func (d *daemon) recallAllowed(now time.Time) {
	var list []allowance
	if _, err := allowedFile().Load(func(r io.Reader) error { return gob.NewDecoder(r).Decode(&list) }); err != nil {
		kind := ""
		if errors.Is(err, state.ErrSetAside) {
			kind = journal.StateAside
		}
		d.journal.Notice(kind, "nobody is allowed by command: %v", err)
		return
	}
	d.allowed = allowances{}
	for _, a := range list {
		if a.Source.IsValid() {
			d.allowed[a.Source] = a
		}
	}
	d.allowed = d.allowed.without(now)
}

func (l allowances) save() error {
	return allowedFile().Save(func(w io.Writer) error { return gob.NewEncoder(w).Encode(l.sorted()) })
}

// allow makes sources friends; who of them is blocked is freed. One that is
// allowed for longer already stays so.
func (d *daemon) allow(ctx context.Context, r control.Request) ([]*control.Outcome, error) {
	now := time.Now()
	var until time.Time
	if r.For != "" {
		length, err := config.ParseDuration(r.For)
		if err != nil {
			return nil, err
		}
		until = now.Add(time.Duration(length))
	}
	return d.changeAllowed(ctx, r, func(list allowances, p netip.Prefix, out *control.Outcome) error {
		if _, why := addresses.Parse(p.String()); why != "" {
			return fmt.Errorf("%s %s", p, why)
		}
		old, is := list[p]
		switch {
		case is && old.outlasts(until):
			out.Expires, out.Kept = old.Until, true
			return nil
		case !is && len(list) >= mostAllowed:
			return fmt.Errorf("%s is not allowed: there are %d already; a list this long belongs in ignore.files", event.SourceName(p), mostAllowed)
		}
		list[p], out.Expires = allowance{p, now, until, r.Reason}, until
		return nil
	})
}

// unallow ends what allow began, of some sources or of all.
func (d *daemon) unallow(ctx context.Context, r control.Request) ([]*control.Outcome, error) {
	if r.All {
		for _, a := range d.listAllowed() {
			r.Sources = append(r.Sources, a.Source.String())
		}
	}
	return d.changeAllowed(ctx, r, func(list allowances, p netip.Prefix, _ *control.Outcome) error {
		if _, is := list[p]; !is {
			return list.notAllowed(p)
		}
		delete(list, p)
		return nil
	})
}

// notAllowed says so of a source, and which allowance it is part of.
func (l allowances) notAllowed(p netip.Prefix) error {
	for _, a := range l {
		if a.Source.Bits() < p.Bits() && a.Source.Contains(p.Addr()) {
			return fmt.Errorf("%s is allowed as part of %s: \"picket unallow %s\" ends that", event.SourceName(p), a.Source, a.Source)
		}
	}
	return fmt.Errorf("%s is not allowed by command: \"picket allowed\" lists who is", event.SourceName(p))
}

// changeAllowed has change work on the list for each source of a request, puts
// the outcome into force as a whole, and saves it.
func (d *daemon) changeAllowed(ctx context.Context, r control.Request, change func(allowances, netip.Prefix, *control.Outcome) error) ([]*control.Outcome, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	was := d.allowed
	list := maps.Clone(was)
	out, err := result(eachSource(r, func(p netip.Prefix, o *control.Outcome) error { return change(list, p, o) }))
	if err != nil {
		return nil, err
	}
	d.allowed = list
	if err := d.put(ctx, nil); err != nil {
		d.allowed = was
		return nil, err
	}
	select {
	case d.allowances <- struct{}{}:
	default: // it will look at these too
	}
	d.tellAllowed(r, out)
	if err := list.save(); err != nil {
		return out, fmt.Errorf("it is done, and will not outlive the daemon: %w", err)
	}
	return out, nil
}

// tellAllowed has the journal say whom a person befriended, or no longer does.
func (d *daemon) tellAllowed(r control.Request, out []*control.Outcome) {
	verb, tail := "allowed", ""
	if r.Command == "unallow" {
		verb = "no longer allowed"
	}
	if r.For != "" {
		tail = " for " + r.For
	}
	if r.Reason != "" {
		tail += ": " + r.Reason
	}
	done := slices.DeleteFunc(slices.Clone(out), func(o *control.Outcome) bool { return o.Error != "" || o.Kept })
	if len(done) > tellEach {
		d.journal.Notice("", "%d sources are %s by command%s", len(done), verb, tail)
		return
	}
	for _, o := range done {
		d.journal.Notice("", "%s is %s by command%s", o.Name, verb, tail)
	}
}

// listAllowed lists the friends by command.
func (d *daemon) listAllowed() []control.Allowed {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	out := []control.Allowed{}
	for _, a := range d.allowed.without(now).sorted() {
		x := control.Allowed{Source: a.Source, Name: event.SourceName(a.Source), Since: a.Since, Expires: a.Until, Reason: a.Reason}
		if !a.Until.IsZero() {
			x.Remaining = int64((a.Until.Sub(now) + time.Second - 1) / time.Second)
		}
		out = append(out, x)
	}
	return out
}

// watchAllowed ends allowances when their time is over.
func (d *daemon) watchAllowed(ctx context.Context) error {
	t := journal.NewTrouble(d.journal, "ending what is allowed for a time")
	for {
		d.mu.Lock()
		first, ends := d.allowed.next()
		d.mu.Unlock()
		var over <-chan time.Time
		if ends {
			over = time.After(max(time.Until(first), 0))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-d.allowances:
		case now := <-over:
			err := d.endAllowed(ctx, now)
			if ctx.Err() != nil {
				return nil
			}
			if t.Tell(err); err != nil {
				time.Sleep(rewatch)
			}
		}
	}
}

func (d *daemon) endAllowed(ctx context.Context, now time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	was := d.allowed
	d.allowed = was.without(now)
	if err := d.put(ctx, nil); err != nil {
		d.allowed = was
		return err
	}
	for p := range was {
		if _, is := d.allowed[p]; !is {
			d.journal.Notice("", "%s is no longer allowed by command: its time is over", event.SourceName(p))
		}
	}
	return d.allowed.save()
}
