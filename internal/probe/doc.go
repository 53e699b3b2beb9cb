// SPDX-License-Identifier: MIT

// Package probe describes one mirrored packet: its kind ([Technique]), its likely sender
// ([Tool]), and its evidence about the source ([Observation], with its weight). Package
// engine judges by that.
//
// It is as pure as the engine: no clock, no I/O, no goroutine, no state. So any
// number of goroutines may use it.
package probe
