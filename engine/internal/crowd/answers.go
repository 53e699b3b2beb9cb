// SPDX-License-Identifier: MIT

package crowd

import (
	"math/bits"
	"time"

	"picket/internal/probe"
)

// Answers counts the ports to which each source sent what looks like a late answer. A
// service answers late a few times; a scanner can send from its port to every port that
// this host uses for connections of its own.
//
// Its buckets are small. A full one drops a source of a single port; without one, it
// takes no newcomer, who is judged as anybody.
type Answers struct {
	by [1 << 8]answerer
}

type answerer struct {
	probe.Key
	since int64  // when the first came, by the engine's time
	ports uint64 // bit set over a hash of the ports
}

// So many of 64 bits may be set in a window: some thirty different ports set 24, and
// ninety set 48. So many connections, a program's pool to its database, may have been
// open when this host was booted; but their segments bear options, as all of a
// connection with timestamps do (RFC 7323, 3.2).
const (
	lateMost     = 24
	lateSegments = 48
)

// A View is the verdict on a late answer.
type View int

const (
	Excused View = iota // it is what it looks like
	Judged              // it is judged as any probe
	TooMany             // it is one of too many
)

// See books a late answer and returns the verdict on it.
func (a *Answers) See(k probe.Key, p *probe.Probe, now int64, window time.Duration, seed uint64) View {
	h := k.Mix(seed)
	bucket := a.by[h%uint64(len(a.by)/4)*4:][:4]
	place := -1
	for i := range bucket {
		x := &bucket[i]
		if x.Key == k && now-x.since <= int64(window) {
			place = i
			break
		}
		if now-x.since > int64(window) || place < 0 && bits.OnesCount64(x.ports) <= 1 {
			place = i
		}
	}
	if place < 0 {
		return Judged
	}
	x := &bucket[place]
	if x.Key != k || now-x.since > int64(window) {
		*x = answerer{Key: k, since: now}
	}
	x.ports |= 1 << (probe.Key{Hi: uint64(p.Port)}.Mix(seed) >> 58)
	most := lateMost
	if p.Options != 0 {
		most = lateSegments
	}
	if bits.OnesCount64(x.ports) > most {
		return TooMany
	}
	return Excused
}
