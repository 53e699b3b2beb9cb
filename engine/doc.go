// SPDX-License-Identifier: MIT

// Package engine judges probes: a [probe.Probe] goes in, a [Decision] comes out.
//
// It is pure. It reads no clock (time is the probe's own), does no I/O, starts
// no goroutine and takes no lock, so the same probes give the same decisions
// on a live host, in a replayed capture and in a test. An [Engine] belongs to
// one goroutine.
//
// Its tables never grow past the size they were made with. A full one forgets
// the source unseen for the longest time, and one that came once before one
// that came back.
//
// It needs netipx and the standard library alone. Where a rule has a source (an
// RFC, a kernel file, nmap's documentation), the rule's comment names it;
// docs/patterns.md lists them all.
package engine
