// SPDX-License-Identifier: MIT

// Package behind keeps what is known of the networks behind this host: probes that
// wait for their answer, and devices there that scan others.
//
// It is pure: no clock, no I/O. Its types belong to one goroutine each, and their
// memory is bounded (see [NewRoom] and [Devices]).
package behind
