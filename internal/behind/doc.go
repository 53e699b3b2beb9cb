// SPDX-License-Identifier: MIT

// Package behind watches the networks behind this host: probes that wait for their answer, and
// devices there that scan others.
//
// A [Watch] asks the kernel and uses the clock; the rest is pure. Each type belongs to one
// goroutine, and its memory is bounded (see [NewRoom] and [Devices]).
package behind
