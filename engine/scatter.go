// SPDX-License-Identifier: MIT

package engine

import (
	"net/netip"
	"time"

	"picket/internal/probe"
)

const (
	// muchBackscatter is how many answers to what we never sent, in one span, are
	// an event of their own: somebody forges our address in earnest.
	muchBackscatter = 100

	// victimAnswers is how many answers of one address within a day are one too,
	// however slowly they come: an attack on it goes on in our name. A connection
	// that is forgotten here ends with a few.
	victimAnswers = 250
)

// victims finds the addresses that most answers come from. Each place has a
// candidate, which every answer of another in that place takes one from (Boyer and
// Moore, "MJRTY", 1981): who sends more than half of what falls there is found.
type victims struct {
	by [1 << 7]victim
}

type victim struct {
	probe.Key
	since int64 // when its first answer came, by the engine's time
	votes int32 // those of others taken off
	told  bool
}

// see counts an answer of k, and reports whether it makes k a victim.
func (v *victims) see(k probe.Key, now int64, seed uint64) bool {
	x := &v.by[k.Mix(seed)%uint64(len(v.by))]
	switch {
	case x.Key != k && x.votes > 0 && now-x.since <= int64(24*time.Hour):
		x.votes--
		return false
	case x.Key != k || now-x.since > int64(24*time.Hour):
		*x = victim{Key: k, since: now}
	}
	x.votes++
	if x.told || x.votes <= victimAnswers {
		return false
	}
	x.told = true
	return true
}

// scattered counts an answer to what this host never sent.
func (e *Engine) scattered(from netip.Addr, now int64, d *Decision) {
	d.Reason = Backscatter
	d.NewPattern = e.scatter.add(now, muchBackscatter)
	if d.NewPattern {
		d.Probes = uint32(e.scatter.count)
	}
	if e.victims.see(e.keyOf(from), now, e.sources.seed) && !d.NewPattern {
		d.NewPattern, d.Probes, d.Source = true, victimAnswers+1, e.SourceOf(from)
	}
	if d.NewPattern {
		d.Pattern, d.Tell = Reflection, true
	}
}
