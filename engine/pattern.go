// SPDX-License-Identifier: MIT

package engine

import (
	"time"

	"picket/engine/internal/crowd"
	"picket/internal/probe"
)

// A Pattern is what many probes are together. The zero Pattern is none.
// docs/patterns.md has a section on each.
type Pattern uint8

// The patterns.
const (
	NoPattern   Pattern = iota
	PortScan            // many ports of few addresses
	Sweep               // few ports of many of our addresses
	SlowScan            // many ports, one in ten seconds or in hours
	Distributed         // many ports, a few by each of many sources
	Decoy               // the same packets from several sources
	Flood               // more new sources than can be real
	Reflection          // many answers to what we never sent: "backscatter"
)

// Patterns is the length of a table indexed by Pattern.
const Patterns = int(Reflection) + 1

var patternNames = [Patterns]string{
	PortScan: "portscan", Sweep: "sweep", SlowScan: "slowscan", Distributed: "distributed",
	Decoy: "decoy", Flood: "flood", Reflection: "backscatter",
}

// String returns the pattern as events spell it.
func (p Pattern) String() string {
	if int(p) < Patterns {
		return patternNames[p]
	}
	return ""
}

// Shared reports whether many sources make the pattern together. It then says nothing
// about the one whose probe completed it.
func (p Pattern) Shared() bool { return p == Flood || p == Distributed || p == Reflection }

const (
	// patternAt is how many distinct ports, or addresses, make a port scan, or
	// a sweep: the five of Snort's port_scan (low sensitivity) and psad's level 1.
	patternAt = 5

	// slowAt is how many distinct ports make a slow scan: one more than the ten
	// services that a monitoring system asks for, day after day.
	slowAt = 11

	// slowPace is the time between two ports from which on a scan is slow:
	// between nmap's -T2, 0.4 s, and -T1, 15 s (nmap's documentation, "Timing
	// and Performance").
	slowPace = int64(10 * time.Second)
)

// name names what the source's probes are together, and says whether that is new.
func (e *Engine) name(p *probe.Probe, s *source, slot int, g glance, now8 uint8, d *Decision) {
	pattern, bit, fresh := s.named, uint8(0), g.fresh
	if fresh || d.Sources > 0 || d.Targets >= patternAt && (pattern == NoPattern || pattern == Distributed) {
		pattern = e.pattern(s, g, now8, d)
	}
	// A scanner that was named for its score may still be one of many.
	if fresh && (pattern == NoPattern || pattern == PortScan && s.live < patternAt) &&
		s.live <= crowd.Share && !e.newcomers.On &&
		!e.peer(p) {
		m := crowd.Member{Key: s.Key, Ports: int(s.live), Class: s.classAt(slot), Ordinary: s.tool.Ordinary()}
		if part, news, sources, ports := e.distributed.See(p, m, int64(e.cfg.Window), e.clock.now); part {
			pattern = Distributed
			d.Sources, d.Shared = sources, ports
			if news && !d.NewPattern {
				d.Pattern, d.NewPattern = Distributed, true
			}
		}
	}
	if fresh && s.live == patternAt && !e.peer(p) {
		e.distributed.Scanner(p, int64(e.cfg.Window), e.clock.now)
	}
	s.named = pattern
	if d.NewPattern {
		return // of all sources together: it goes before what this one is
	}
	d.Pattern = pattern
	switch pattern {
	case PortScan:
		bit = toldPortScan
	case Sweep:
		bit = toldSweep
	case SlowScan:
		bit = toldSlow
	case Decoy:
		bit = toldDecoy
	}
	d.NewPattern = bit&^s.flags != 0
	s.flags |= bit
}

// pattern names what a source's probes are together.
func (e *Engine) pattern(s *source, g glance, now8 uint8, d *Decision) Pattern {
	own := s.own()
	switch {
	case s.flags&decoyed != 0 && own < patternAt:
		return Decoy
	case d.Targets >= patternAt && d.Targets > own && (e.telling(s, suspectAt/2) || d.Targets > e.cfg.Sweep):
		return Sweep
	case e.fast(s, e.portsAt(s, patternAt, certainAfter), 1, now8):
		return PortScan
	case g.fresh && own == 2 && g.since < slowPace && e.portsAt(s, patternAt, 2) == 2:
		return PortScan // one right after the other
	case s.all() >= e.portsAt(s, slowAt, patternAt) && (s.named == SlowScan || g.since >= slowPace):
		return SlowScan // a burst after a pause is the beginning of something else
	case s.named == PortScan:
		return PortScan
	}
	return NoPattern
}

// portsAt returns how many distinct ports make a pattern: few for a source whose score
// says that it scans, the usual number for a suspect, and for others more than a
// monitoring system or an office asks for.
func (e *Engine) portsAt(s *source, usually, few int) int {
	switch {
	case e.telling(s, darkAt) && e.scored():
		return few
	case e.telling(s, suspectAt):
		return usually
	}
	return manyServices
}

// peer reports whether a probe may come from a peer of a program that has ended. Calls,
// games and file sharing have many peers, each with a few ports of ours. They send
// datagrams with a payload to ports from 1024; an ordinary system sends a SYN to a port
// from 30000, where FTP servers take their ports for data.
func (e *Engine) peer(p *probe.Probe) bool {
	switch {
	case !e.scored():
		return false
	case p.Technique == probe.UDP:
		return p.Port >= 1024 && probe.MadeOf(p) == 0
	}
	return p.Technique == probe.SYN && p.Port >= 30000 && probe.ToolOf(p).Ordinary()
}

// telling reports whether a source has reached a score. Where nothing is weighed, all
// have.
func (e *Engine) telling(s *source, score int8) bool { return !e.scored() || s.score >= score }

// manyServices is how many distinct ports make a pattern, whatever they are: a monitoring
// system asks for two dozen, and some datagrams.
const manyServices = 30

// manyRepeats is how many distinct ports a source must probe before its rate, above what
// the kernel mirrors, counts alone: the streams of a call that has ended here go on at
// fifty packets a second each.
const manyRepeats = 10

// fast reports whether the latest ports, so many or more, came faster than slowPace. What
// came minutes before makes them no slower. Times are exact to a unit; doubt is the error
// in units.
func (e *Engine) fast(s *source, ports, doubt int, now8 uint8) bool {
	if s.own() < ports {
		return false
	}
	var came [128]uint8 // ports by how many units ago
	for i, t := range s.stamp[:s.used] {
		if t != 0 && s.copied>>i&1 == 0 {
			came[since(t, now8)]++
		}
	}
	n := 0
	for units, c := range came[:e.window+1] {
		if n += int(c); n >= ports && int64(units+doubt)<<e.unit < int64(n-1)*slowPace {
			return true
		}
	}
	return false
}

// nameReaction names a pattern for a source reacted to before it has one.
func (e *Engine) nameReaction(s *source, d *Decision) Pattern {
	switch {
	case d.Pattern != NoPattern:
		return d.Pattern
	case d.Targets > d.Inside && d.Targets > 1:
		return Sweep
	case d.Reason == AboveSlow:
		return SlowScan
	case d.Reason == AboveCopies:
		return Decoy
	case d.Inside < 2:
		return NoPattern
	case !e.fast(s, 2, 0, stampOf(e.clock.now>>e.unit)):
		return SlowScan
	}
	return PortScan
}
