// SPDX-License-Identifier: MIT

package book

import "picket/internal/probe"

// Offenders are the sources reacted to, up to a limit: a further one replaces the oldest.
// Make them with [NewOffenders]. Times are the engine's.
type Offenders struct {
	by    map[probe.Key]Offence
	order []probe.Key // a ring
	turn  int         // its oldest
}

// An Offence is what is remembered of an offender.
type Offence struct {
	Count uint32
	Block int64 // when its block ends
	Until int64 // when it is forgotten
}

// NewOffenders returns none.
func NewOffenders() Offenders { return Offenders{by: make(map[probe.Key]Offence)} }

// Len returns how many there are.
func (o *Offenders) Len() int { return len(o.by) }

// Ith returns the i-th of them, the oldest first.
func (o *Offenders) Ith(i int) (probe.Key, Offence) {
	k := o.order[(o.turn+i)%len(o.order)]
	return k, o.by[k]
}

// Count returns how often k was reacted to, as far as that is remembered.
func (o *Offenders) Count(k probe.Key, at int64) int {
	x, ok := o.by[k]
	if !ok || at >= x.Until {
		return 0
	}
	return int(x.Count)
}

// Held reports whether a remembered block of k has not ended.
func (o *Offenders) Held(k probe.Key, at int64) bool { return at < o.by[k].Block }

// Next returns the number of the offence that a reaction to k would be. While k is
// blocked, reactions to other addresses of its IPv6 prefix make no further one: all may
// be forged at once.
func (o *Offenders) Next(k probe.Key, at int64) int {
	n := o.Count(k, at)
	if n > 0 && o.Held(k, at) {
		return n
	}
	return n + 1
}

// Note remembers an offender. At the limit it replaces the oldest one.
func (o *Offenders) Note(k probe.Key, x Offence, limit int) {
	if _, known := o.by[k]; !known {
		if len(o.order) < limit {
			o.order = append(o.order, k)
		} else {
			o.turn %= len(o.order)
			delete(o.by, o.order[o.turn])
			o.order[o.turn] = k
			o.turn++
		}
	}
	o.by[k] = x
}
