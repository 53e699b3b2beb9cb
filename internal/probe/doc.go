// SPDX-License-Identifier: MIT

// Package probe has the words for one mirrored packet: what it is (a
// [Technique]), what may have sent it (a [Tool]), and what it shows of its source
// by itself (an [Observation], with its weight). Package engine judges by them.
//
// It is as pure as the engine: no clock, no I/O, no goroutine, no state. So any
// number of goroutines may use it.
package probe
