// SPDX-License-Identifier: MIT

// Package probe describes one mirrored packet: what it is ([Technique]), what may have
// sent it ([Tool]), and what it shows of its source by itself ([Observation], with its
// weight). Package engine judges by that.
//
// It is as pure as the engine: no clock, no I/O, no goroutine, no state. So any
// number of goroutines may use it.
package probe
