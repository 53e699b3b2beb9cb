// SPDX-License-Identifier: MIT

package engine

import (
	"net/netip"
	"time"

	"picket/internal/probe"
)

// keyOf returns the source that an address belongs to. Neighbours on a link of
// ours share their prefix with each other, and with us, so each is a source of
// its own.
func (e *Engine) keyOf(a netip.Addr) probe.Key { return e.keyIn(a, probe.Words(a)) }

// keyIn is keyOf for an address whose words are known.
func (e *Engine) keyIn(a netip.Addr, w probe.Key) probe.Key {
	if a.Is4() {
		return w
	}
	return w.Masked(e.prefixOf(a))
}

// prefixOf returns how many bits of an address are its source's.
func (e *Engine) prefixOf(a netip.Addr) int {
	switch {
	case a.Is4():
		return 32
	case a.IsLinkLocalUnicast(), e.cfg.OnLink.Contains(a):
		return 128
	}
	return e.cfg.Prefix6
}

// recall returns the record of a source, as it is by now, how many nanoseconds ago
// the source was seen last, and whether that was in another hour.
func (e *Engine) recall(p *probe.Probe, k probe.Key, now int64, d *Decision) (s *source, since int64,
	again bool) {
	s = e.sources.find(k)
	if s == nil {
		s = e.admit(p, k, now, d)
	}
	if s.flags&answered != 0 && !e.answering(p.Source, k, now) {
		s.forget()
		s.flags &^= answered
	}
	if now>>e.unit != s.last>>e.unit {
		e.age(s, now)
	}
	again = now/int64(time.Hour) != s.last/int64(time.Hour) && s.probes > 0
	since, s.last = now-s.last, now
	return s, since, again
}

// admit makes a record for a source that has none.
func (e *Engine) admit(p *probe.Probe, k probe.Key, now int64, d *Decision) *source {
	horizon := now - 2*e.half
	place, old := e.sources.room(k)
	if old != nil {
		e.traces.put(old, horizon)
	}
	s := e.sources.put(place, k)
	if p.Technique == probe.Connect {
		e.sources.saw(place) // once is enough to be worth a trace
	}
	if e.traces.used > 0 && e.traces.take(k, s, horizon) {
		e.sources.saw(place)
		s.half = e.halfOf(s.last)
		return s
	}
	s.first, s.last, s.half = uint32(now/int64(time.Second)), now, e.halfOf(now)
	if e.newcomers.Add(now, e.cfg.Flood) {
		d.Pattern, d.NewPattern, d.Sources = Flood, true, e.newcomers.Count
	}
	return s
}

// halfOf returns which half of a slow window a time is in.
func (e *Engine) halfOf(now int64) uint8 { return uint8(now / e.half) }

// age brings a record up to now: it drops what has left the window and the slow window
// since the last probe.
func (e *Engine) age(s *source, now int64) {
	units := now>>e.unit - s.last>>e.unit
	if s.live > 0 {
		if units > int64(e.window) {
			s.rest()
		} else if s.tire(stampOf(now>>e.unit), e.window); s.live == 0 {
			s.rest()
		}
	}
	switch now>>(e.unit+6) - s.last>>(e.unit+6) {
	case 0:
	case 1:
		s.targets = [2]uint64{0, s.targets[0]}
	default:
		s.targets = [2]uint64{}
	}
	switch half := e.halfOf(now); {
	case half == s.half && now-s.last <= e.half: // half is modulo 256
	case half == s.half+1 && now-s.last <= 2*e.half:
		s.retain(s.current)
		s.current, s.half = 0, half
		// How its packets are made is weighed anew, as are the dropped ports.
		s.score /= 2
		s.marks &^= madeMask | markPeer | markAgain
		s.agreed &^= markTrap
		if s.used == 0 {
			s.forget()
		}
	default:
		s.forget()
		s.score, s.marks, s.asked, s.agreed = 0, s.marks&markDark, 0, s.agreed&^markTrap
		s.half = half
	}
}
