// SPDX-License-Identifier: MIT

// Package behind watches the networks behind this host: it has the probes that wait for
// their answer, and the devices there that scan others.
//
// A [Watch] asks the kernel by the clock; the rest is pure. Each type belongs to one
// goroutine, and its memory is bounded (see [NewRoom] and [Devices]).
package behind
