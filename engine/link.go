// SPDX-License-Identifier: MIT

package engine

import "picket/internal/probe"

// links counts the ports that the IPv6 addresses of one link ask together. Each
// is a source of its own, and a neighbour has as many as it likes.
type links struct {
	by   [4]source // a link in each, 0 if free
	turn int       // which goes next
}

// linkPorts is how many ports of one kind the addresses of a link may ask
// together. Above it, one that asked patternAt of them is above a limit: two who
// share a scan learn little more than one. A record holds one port more.
const linkPorts = MaxTrigger

// neighbours counts a port that a neighbour asked, and returns how many of its
// kind the addresses of its link asked inside the window; 0 if p is no neighbour's.
// It is for IPv6 alone.
func (e *Engine) neighbours(p *probe.Probe, from probe.Key, now8 uint8) int {
	if e.cfg.Prefix6 == 128 || e.prefixOf(p.Source) != 128 {
		return 0
	}
	s := e.links.of(from.Masked(64))
	if now := e.clock.now; now>>e.unit != s.last>>e.unit {
		e.age(s, now)
		s.last = now
	}
	s.note(p.Port, class(p.Protocol), now8)
	all, _ := s.within(class(p.Protocol))
	return all
}

// of returns the record of a link.
func (l *links) of(k probe.Key) *source {
	for i := range l.by {
		if l.by[i].Key == k {
			return &l.by[i]
		}
	}
	s := &l.by[l.turn%len(l.by)]
	l.turn++
	*s = source{Key: k}
	return s
}
