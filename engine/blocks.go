// SPDX-License-Identifier: MIT

package engine

import (
	"net/netip"
	"time"
)

// blocks is what the engine knows of reactions in force, by what is done and by
// the address or the IPv6 prefix that they hold for, and of offenders. All of it
// is bounded, and nothing of it is in the path of a probe that causes no reaction.
type blocks struct {
	by        [Actions]*book
	offenders map[key]offence
	order     []key // of offenders, a ring
	turn      int   // its oldest
	lately    lately
}

type block struct {
	since, until int64 // by the engine's time
	forgeable    bool  // it rests on what anybody can send in that name
}

type offence struct {
	count uint32
	block int64 // when its block ends
	until int64 // when it is forgotten
}

func (b *blocks) init(seed uint64) {
	*b = blocks{offenders: make(map[key]offence), lately: lately{seed: seed}}
	for i := range b.by {
		b.by[i] = newBook()
	}
}

// get returns the reaction of a kind to a that is in force at a time.
func (b *blocks) get(kind Action, a netip.Prefix, at int64) (block, bool) {
	return b.by[kind].get(a, at)
}

// end forgets the reaction of a kind to a.
func (b *blocks) end(kind Action, a netip.Prefix) {
	if x := b.by[kind].by[a]; x != nil {
		b.by[kind].remove(x)
	}
}

// add books a reaction, for which another may make room, which d then names; false
// means that there are as many as there may be, and all worthier.
func (e *Engine) add(kind Action, a netip.Prefix, x block, d *Decision) bool {
	instead, ok := e.blocks.by[kind].add(a, x, e.clock.now, e.cfg.Blocks)
	d.Instead = instead
	return ok
}

// offence returns how often k was reacted to, as far as that is remembered.
func (b *blocks) offence(k key, at int64) int {
	o, ok := b.offenders[k]
	if !ok || at >= o.until {
		return 0
	}
	return int(o.count)
}

// next returns which offence of k a reaction would be. Other addresses of one
// IPv6 prefix that are reacted to while the first is blocked make no further one:
// all may be forged at once.
func (b *blocks) next(k key, at int64) int {
	n := b.offence(k, at)
	if n > 0 && at < b.offenders[k].block {
		return n
	}
	return n + 1
}

// offend remembers an offender, in the place of the oldest one if there are limit.
func (b *blocks) offend(k key, o offence, limit int) {
	if _, known := b.offenders[k]; !known {
		if len(b.order) < limit {
			b.order = append(b.order, k)
		} else {
			b.turn %= len(b.order)
			delete(b.offenders, b.order[b.turn])
			b.order[b.turn] = k
			b.turn++
		}
	}
	b.offenders[k] = o
}

// Unblock forgets every response to a source and the ports it probed, so that
// its next probe is judged like a first one. That it was an offender stays, and
// so does that it was fenced in this hour.
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

// Restore tells the engine of a response that it did not decide: one that the
// kernel has from an earlier run, or that the operator made by hand.
func (e *Engine) Restore(response Action, p netip.Prefix, since, until time.Time) {
	from := e.clock.inside(since.UnixNano())
	b := e.blocks.by[response]
	if e.blocks.end(response, p.Masked()); len(b.by) < e.cfg.Blocks {
		b.insert(&entry{source: p.Masked(), block: block{since: from, until: e.clock.inside(until.UnixNano())}})
	}
	if response == Fence {
		e.blocks.lately.note(e.keyOf(p.Addr()), from)
	}
}

// Blocked reports whether a is blocked at a time, by the engine's books.
func (e *Engine) Blocked(a netip.Addr, at int64) bool { return e.InForce(Block, a, at) }

// InForce reports whether a response to a is in force at a time, by the engine's books.
func (e *Engine) InForce(response Action, a netip.Addr, at int64) bool {
	_, _, ok := e.covering(response, a, e.clock.inside(at))
	return ok
}
