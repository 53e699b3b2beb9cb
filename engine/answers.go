// SPDX-License-Identifier: MIT

package engine

import (
	"math/bits"
	"time"
)

// answers counts, of each source, to how many different ports it sent what looks
// like an answer that came late. A service answers late a few times; a scanner can
// send from its port to every port that this host uses for connections of its own.
//
// It is a small table of buckets. In a full one, the source of a single port goes
// first; if there is none, who is not in it is judged as anybody.
type answers struct {
	by [1 << 8]answerer
}

type answerer struct {
	key
	since int64  // when the first came, by the engine's time
	ports uint64 // bit set over a hash of the ports
}

// lateMost is how many bits of 64 may be set in a window: of some thirty
// different ports as many are.
const lateMost = 24

// The ways to see a late answer.
const (
	lateExcused = iota // it is what it looks like
	lateJudged         // it is judged as any probe
	lateTooMany        // it is one of too many
)

// see books a late answer and tells how to see it.
func (a *answers) see(k key, port uint16, now int64, window time.Duration, seed uint64) int {
	h := k.mix(seed)
	bucket := a.by[h%uint64(len(a.by)/4)*4:][:4]
	place := -1
	for i := range bucket {
		x := &bucket[i]
		if x.key == k && now-x.since <= int64(window) {
			place = i
			break
		}
		if now-x.since > int64(window) || place < 0 && bits.OnesCount64(x.ports) <= 1 {
			place = i
		}
	}
	if place < 0 {
		return lateJudged
	}
	x := &bucket[place]
	if x.key != k || now-x.since > int64(window) {
		*x = answerer{key: k, since: now}
	}
	x.ports |= 1 << ((uint64(port) ^ seed) * golden >> 58)
	if bits.OnesCount64(x.ports) > lateMost {
		return lateTooMany
	}
	return lateExcused
}
