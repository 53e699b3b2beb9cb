// SPDX-License-Identifier: MIT

package engine

import (
	"net/netip"
	"time"

	"picket/internal/probe"
)

// A Source is what is known of one source, for an event or a person.
type Source struct {
	Prefix      netip.Prefix // the address, or the IPv6 prefix
	First, Last time.Time    // First to the second
	Probes      uint32       // without retransmissions
	Repeated    uint32       // retransmissions, at most 65535 are counted
	Ports       uint32       // distinct ports; one that 32 others followed counts again
	Targets     int          // distinct addresses of ours, at least
	List        []string     // the latest distinct ports, at most 32: "tcp/22"
	Tool        probe.Tool
	Pattern     Pattern
	Proven      bool
	Offences    int // reactions to it that are remembered
	Blocked     bool
	Fenced      bool
}

// SourceOf returns the source that a belongs to: the address, or the IPv6
// prefix around it.
func (e *Engine) SourceOf(a netip.Addr) netip.Prefix {
	return netip.PrefixFrom(a, e.prefixOf(a)).Masked()
}

// Describe returns what is known of the source that a belongs to; ok is false
// if nothing is.
func (e *Engine) Describe(a netip.Addr) (src Source, ok bool) {
	k := e.keyOf(a)
	s := e.sources.peek(k)
	if s == nil {
		i := e.traces.at(k)
		if i < 0 {
			return Source{}, false
		}
		s = &source{Key: k}
		e.traces.all[i].fill(s)
	}
	_, _, blocked := e.covering(Block, a, e.clock.now)
	_, _, fenced := e.covering(Fence, a, e.clock.now)
	src = Source{
		Prefix: e.SourceOf(a),
		First:  e.clock.outside(int64(s.first) * int64(time.Second)), Last: e.clock.outside(s.last),
		Probes: s.probes, Repeated: uint32(s.again),
		Ports: uint32(s.ports), Targets: s.aims(), Tool: s.tool, Pattern: s.named,
		Proven: s.flags&proven != 0, Offences: e.blocks.offenders.Count(k, e.clock.now), Blocked: blocked,
		Fenced: fenced,
	}
	for i := range int(s.used) {
		slot := s.ith(i)
		src.List = append(src.List, probe.PortName(classNames[s.classAt(slot)], s.portAt(slot)))
	}
	return src, true
}
