// SPDX-License-Identifier: MIT

package engine

import "picket/internal/probe"

// bucketSize is the number of records, or traces, in a bucket.
const bucketSize = 8

// tags holds one byte of the key's hash for each place of a bucket, 0 for a free place. A
// look at the tags mostly rules out an unknown source; a known one takes a look at one
// record.
type tags uint64

// at returns the tag of a place.
func (t tags) at(place int) uint8 { return uint8(t >> (8 * place)) }

// set gives a place a tag.
func (t *tags) set(place int, tag uint8) { *t = *t&^(0xff<<(8*place)) | tags(tag)<<(8*place) }

// equal marks the places of a tag, by the highest bit of each byte and without
// a branch (Warren, Hacker's Delight, 6-1).
func (t tags) equal(tag uint8) uint64 {
	const ones, low = 0x0101_0101_0101_0101, 0x7f7f_7f7f_7f7f_7f7f
	x := uint64(t) ^ uint64(tag)*ones
	return ^((x&low + low) | x | low)
}

// tagOf returns the tag of a hash, which is never 0.
func tagOf(h uint64) uint8 { return max(1, uint8(h*probe.Golden>>56)) }
