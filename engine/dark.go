// SPDX-License-Identifier: MIT

package engine

import (
	"net/netip"
	"time"

	"picket/engine/internal/book"
	"picket/internal/probe"
)

// The dark lasts so long, by the score at its beginning or renewal.
const (
	darkHours = 6 * time.Hour
	darkDay   = 24 * time.Hour
	darkWeek  = 7 * 24 * time.Hour
)

// darkTime returns how long a source of a score stays in the dark.
func darkTime(score int) time.Duration {
	switch {
	case score >= darkLongest:
		return darkWeek
	case score >= darkLongAt:
		return darkDay
	}
	return darkHours
}

const (
	// darkEach and darkBurst let thirty sources go dark at once and ten a second: more
	// scanners than a network meets, and all that a flood of forged addresses gets until
	// it is known as one.
	darkEach  = int64(time.Second / 10)
	darkBurst = int64(3 * time.Second)

	// darkNetworkRate is how many networks may go dark in a minute: their sets are slow.
	darkNetworkRate = 60
)

// darken fills in the dark for a source whose score asks for it. The dark costs so little
// that forgeable grounds will do, but not in a flood, where nothing is known of a source.
func (e *Engine) darken(p *probe.Probe, s *source, d *Decision) {
	now := e.clock.now
	d.Score = int(s.score)
	if d.Score < darkAt || d.Action != None {
		return
	}
	if e.cfg.Protected.Contains(p.Source) {
		d.Reason = IsProtected
		return
	}
	if e.cfg.Operators.Contains(p.Source) {
		if d.Reason == BelowTrigger {
			d.Reason = IsOperator
		}
		return
	}
	if e.newcomers.On && d.Within < floodPorts && d.Targets < floodPorts {
		return
	}
	length := darkTime(d.Score)
	by, b, dark := e.covering(Dark, p.Source, now)
	if !dark {
		by = e.darkExtent(p.Source)
	}
	if !dark && s.marks&markDark != 0 {
		d.Observed |= 1 << probe.ComesBack
		s.score = int8(min(int(s.score)+probe.ComesBack.Decibans(), scoreCeiling))
		d.Score = int(s.score)
		length = darkTime(d.Score)
	}
	if whole, ok := e.networkDue(p, s, now); ok && by != whole {
		if _, known := e.blocks.get(Dark, whole, now); !known && e.darkNets.Allow(now, minute/darkNetworkRate,
			minute) {
			by, b, dark, length = whole, book.Block{}, false, darkDay
		}
	}
	if dark && b.Until-now > (b.Until-b.Since)/2 {
		if d.Reason == BelowTrigger {
			d.Reason = AlreadyDark
		}
		return
	}
	if !e.darks.Allow(now, darkEach, darkBurst) {
		return
	}
	if !e.add(Dark, by, book.Block{Since: now, Until: now + int64(length), Forgeable: true}, d) {
		d.Reason = Full
		return
	}
	s.marks |= markDark
	if d.Pattern.Shared() && !d.NewPattern {
		d.Pattern = NoPattern // that others look like it says nothing of this one
	}
	d.Action, d.Source, d.For, d.Reason, d.Proven = Dark, by, length, AboveScore, false
	if by.Bits() == networkBitsOf(p.Source) {
		d.Reason = PartOfNetwork
	}
}

func networkBitsOf(a netip.Addr) int {
	if a.Is4() {
		return book.NetworkBits4
	}
	return book.NetworkBits6
}

// darkExtent returns the extent of the dark: the whole source, or the address alone if a
// friend is in its prefix.
func (e *Engine) darkExtent(a netip.Addr) netip.Prefix {
	whole := e.SourceOf(a)
	if e.cfg.Spared(whole) {
		return netip.PrefixFrom(a, a.BitLen())
	}
	return whole
}

// networkDue books a scanner for its network, and reports whether the whole network goes
// dark: never one of ours, nor one with a friend or a connected peer in it.
func (e *Engine) networkDue(p *probe.Probe, s *source, now int64) (whole netip.Prefix, due bool) {
	if e.networks.Note(s.Key, now) < book.NetworkAt {
		return whole, false
	}
	whole = book.PrefixOfNetwork(p.Source)
	if whole.Contains(p.Destination) || e.cfg.OnLink.Overlaps(whole) || e.cfg.Spared(whole) ||
		e.cfg.Operators.Overlaps(whole) || e.connected.Overlaps(whole) {
		return whole, false
	}
	return whole, true
}
