// SPDX-License-Identifier: MIT

package book

import (
	"net/netip"

	"picket/internal/probe"
)

// A Pace limits a rate, in the engine's time: a bucket of time that refills as time
// passes. The zero Pace is full.
type Pace struct {
	at     int64
	tokens int64 // nanoseconds
}

// Allow reports whether one more may pass. It costs each nanoseconds, of which burst are
// saved up at most.
func (p *Pace) Allow(now, each, burst int64) bool {
	if p.at == 0 {
		p.at, p.tokens = now, burst
	}
	if now > p.at {
		p.tokens = min(burst, p.tokens+min(now-p.at, burst))
		p.at = now
	}
	if p.tokens < each {
		return false
	}
	p.tokens -= each
	return true
}

// Rates limits a rate, and that of one network to its share. Networks share their buckets
// by a hash, so that nobody has a fresh one.
type Rates struct {
	all Pace
	of  [networkLevels][1 << 8]Pace
}

// Allow is [Pace.Allow] for a source.
func (r *Rates) Allow(a netip.Prefix, seed uint64, now, each, burst int64) bool {
	for level := range networkLevels {
		share := each << (networkLevels - level)
		h := probe.Words(networkIn(a, level).Addr()).Mix(seed)
		if !r.of[level][h%uint64(len(r.of[level]))].Allow(now, share, max(burst, share)) {
			return false
		}
	}
	return r.all.Allow(now, each, burst)
}
