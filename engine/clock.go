// SPDX-License-Identifier: MIT

package engine

import "time"

// A clock turns the times of probes into one that never steps back, so that a
// capture's or a kernel's clock can do only bounded harm:
//
//   - A probe that is a little older than one before it counts as simultaneous
//     with the newest. Packets do overtake each other.
//   - A time that steps back further was set: the engine's time goes on from
//     where it is, and what was a minute ago stays a minute ago.
//   - A time that jumps ahead ends what would have ended by then, at most
//     longestJump at once. A jump cannot be told from a silence.
type clock struct {
	now    int64 // the engine's time: ns since the epoch, plus offset
	offset int64
}

const (
	disorder    = int64(time.Minute)
	longestJump = int64(45 * 24 * time.Hour)
	latest      = int64(1) << 62 // some time in 2116
	mostOffset  = int64(1) << 61 // 73 years; latest, it and the longest block are below an overflow
)

// advance moves the clock to the time of a probe; false means that its range
// is used up, as hundreds of jumps to and fro can do.
func (c *clock) advance(at int64) bool {
	at = min(max(at, 0), latest)
	t := at + c.offset
	switch {
	case t >= c.now:
		if t-c.now > longestJump && c.now != 0 {
			t = c.now + longestJump
			c.offset = t - at
		}
		c.now = t
	case c.now-t > disorder:
		c.offset += c.now - t
	}
	return c.offset <= mostOffset
}

// inside returns the engine's time for one of the world's.
func (c *clock) inside(at int64) int64 { return min(max(at, 0), latest) + c.offset }

// outside is the inverse of inside.
func (c *clock) outside(t int64) time.Time { return time.Unix(0, t-c.offset) }
