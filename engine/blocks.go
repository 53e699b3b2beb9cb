// SPDX-License-Identifier: MIT

package engine

import (
	"net/netip"
	"time"

	"picket/engine/internal/book"
)

// blocks holds the reactions in force, by action and by address or IPv6 prefix, and the
// offenders. It is bounded, and out of the path of a probe without a reaction.
type blocks struct {
	by        [Actions]*book.Book
	offenders book.Offenders
	lately    book.Lately
}

func (b *blocks) init(seed uint64) {
	*b = blocks{offenders: book.NewOffenders(), lately: book.NewLately(seed)}
	for i := range b.by {
		b.by[i] = book.New()
	}
}

// get returns the reaction of a kind to a that is in force at a time.
func (b *blocks) get(kind Action, a netip.Prefix, at int64) (book.Block, bool) {
	return b.by[kind].Get(a, at)
}

// end forgets the reaction of a kind to a.
func (b *blocks) end(kind Action, a netip.Prefix) {
	b.by[kind].End(a)
}

// add books a reaction. Another may make room; d.Instead names it. False means that the
// book is full of worthier ones.
func (e *Engine) add(kind Action, a netip.Prefix, x book.Block, d *Decision) bool {
	instead, ok := e.blocks.by[kind].Add(a, x, e.clock.now, e.cfg.Blocks)
	d.Instead = instead
	return ok
}

// Unblock forgets every response to a source and the ports it probed: its next probe is
// judged like a first one. Its offences and a fence of this hour are not forgotten.
func (e *Engine) Unblock(p netip.Prefix) {
	for kind := range e.blocks.by {
		e.blocks.end(Action(kind), p.Masked())
	}
	e.forget(p)
}

// End forgets one response to a source and the ports it probed: the kernel has
// not made it, or the operator has ended it before its time.
func (e *Engine) End(response Action, p netip.Prefix) {
	e.blocks.end(response, p.Masked())
	e.forget(p)
}

// forget drops the ports of a source.
func (e *Engine) forget(p netip.Prefix) {
	k := e.keyOf(p.Addr())
	if s := e.sources.peek(k); s != nil {
		s.forget()
	}
	if i := e.traces.at(k); i >= 0 {
		e.traces.drop(i)
	}
}

// Restore books a response that the engine did not decide: one that the kernel has from
// an earlier run, or one made by hand.
func (e *Engine) Restore(response Action, p netip.Prefix, since, until time.Time) {
	from := e.clock.inside(since.UnixNano())
	b := e.blocks.by[response]
	if b.End(p.Masked()); b.Len() < e.cfg.Blocks {
		b.Put(p.Masked(), book.Block{Since: from, Until: e.clock.inside(until.UnixNano())})
	}
	if response == Fence {
		e.blocks.lately.Note(e.keyOf(p.Addr()), from)
	}
}

// Blocked reports whether a is blocked by the engine's books at a time, in nanoseconds
// since the Unix epoch.
func (e *Engine) Blocked(a netip.Addr, at int64) bool { return e.InForce(Block, a, at) }

// InForce is Blocked for any response.
func (e *Engine) InForce(response Action, a netip.Addr, at int64) bool {
	_, _, ok := e.covering(response, a, e.clock.inside(at))
	return ok
}
