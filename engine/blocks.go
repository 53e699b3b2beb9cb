// SPDX-License-Identifier: MIT

package engine

import (
	"net/netip"
	"time"
)

// blocks is what the engine knows of reactions in force, by the address or the
// IPv6 prefix that they hold for, and of offenders. Both
// are bounded, and neither is in the path of a probe that causes no reaction.
type blocks struct {
	by        map[netip.Prefix]block
	swept     int64 // when ended blocks were last swept out
	offenders map[key]offence
	order     []key // of offenders, a ring
	turn      int   // its oldest
}

type block struct {
	since, until int64 // by the engine's time
	action       Action
	forgeable    bool // it rests on what anybody can send in that name
}

type offence struct {
	count uint32
	block int64 // when its block ends
	until int64 // when it is forgotten
}

func (b *blocks) init() {
	*b = blocks{by: make(map[netip.Prefix]block), offenders: make(map[key]offence)}
}

// get returns the reaction to a that is in force at a time.
func (b *blocks) get(a netip.Prefix, at int64) (block, bool) {
	x, ok := b.by[a]
	if ok && at >= x.until {
		delete(b.by, a)
		ok = false
	}
	return x, ok
}

// add books a reaction; false means that there are limit of them already.
func (b *blocks) add(a netip.Prefix, x block, at int64, limit int) bool {
	if len(b.by) >= limit {
		if at-b.swept < int64(renewAfter) {
			return false
		}
		b.swept = at
		for a, x := range b.by {
			if at >= x.until {
				delete(b.by, a)
			}
		}
		if len(b.by) >= limit {
			return false
		}
	}
	b.by[a] = x
	return true
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

// Unblock forgets that a source is blocked and the ports it probed, so that
// its next probe is judged like a first one. That it was an offender stays.
func (e *Engine) Unblock(p netip.Prefix) {
	delete(e.blocks.by, p.Masked())
	k := e.keyOf(p.Addr())
	if s := e.sources.peek(k); s != nil {
		s.forget()
	}
	if i := e.traces.at(k); i >= 0 {
		e.traces.drop(i)
	}
}

// Restore tells the engine of a block that it did not make: one that the
// kernel has from an earlier run, or that the operator made by hand.
func (e *Engine) Restore(p netip.Prefix, since, until time.Time) {
	from := e.clock.inside(since.UnixNano())
	e.blocks.add(p.Masked(), block{since: from, until: e.clock.inside(until.UnixNano()), action: Block}, from, e.cfg.Blocks)
}

// Blocked reports whether a is blocked at a time, by the engine's books.
func (e *Engine) Blocked(a netip.Addr, at int64) bool {
	_, b, ok := e.covering(a, e.clock.inside(at))
	return ok && b.action == Block
}
