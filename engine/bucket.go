// SPDX-License-Identifier: MIT

package engine

import "picket/internal/probe"

// bucketSize is how many records, or traces, make a bucket: those that one
// source may lie in.
const bucketSize = 8

// tags is what is kept of a bucket apart from its records: of each place a
// byte of its key's hash, 0 for a free place. So who is not there is mostly
// told without a look at the records, and who is there by a look at one.
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
