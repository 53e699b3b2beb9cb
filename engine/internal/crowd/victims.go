// SPDX-License-Identifier: MIT

package crowd

import (
	"time"

	"picket/internal/probe"
)

// VictimAnswers is how many answers of one address within a day make a victim of
// it, however slowly they come: an attack on it goes on in our name. A connection
// that is forgotten here ends with a few.
const VictimAnswers = 100

// Victims finds the addresses that most answers come from. Each place has a candidate;
// every answer of another address there takes one vote from it (Boyer and Moore, "MJRTY",
// 1981). An address with more than half of a place's answers is found.
type Victims struct {
	by [1 << 7]victim
}

type victim struct {
	probe.Key
	since int64 // when its first answer came, by the engine's time
	votes int32 // those of others taken off
	told  bool
}

// See counts an answer of k, and reports whether it makes k a victim.
func (v *Victims) See(k probe.Key, now int64, seed uint64) bool {
	x := &v.by[k.Mix(seed)%uint64(len(v.by))]
	switch {
	case x.Key != k && x.votes > 0 && now-x.since <= int64(24*time.Hour):
		x.votes--
		return false
	case x.Key != k || now-x.since > int64(24*time.Hour):
		*x = victim{Key: k, since: now}
	}
	x.votes++
	if x.told || x.votes <= VictimAnswers {
		return false
	}
	x.told = true
	return true
}
