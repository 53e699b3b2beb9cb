// SPDX-License-Identifier: MIT

// Package engine judges probes: a [probe.Probe] goes in, a [Decision] comes out.
//
// It is pure. It reads no clock (time is the probe's own), does no I/O, starts
// no goroutine and takes no lock, so the same probes give the same decisions
// on a live host, in a replayed capture and in a test. An [Engine] belongs to
// one goroutine.
//
// It refuses to grow: its tables have the size they were made with, and when
// one is full a source that was not seen for long goes first, and of those
// that came only once before those that came back.
//
// It needs netipx and the standard library alone. Where a rule has a source (an
// RFC, a kernel file, nmap's documentation), the rule's comment names it;
// docs/patterns.md lists them all.
package engine
