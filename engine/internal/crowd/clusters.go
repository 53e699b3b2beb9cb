// SPDX-License-Identifier: MIT

package crowd

import (
	"math/bits"
	"time"

	"picket/internal/probe"
)

// Clusters finds scans that many sources share: it looks at ports, not at sources. Probes
// whose packets look the same (window, options, length, DF) make a cluster. A scan asks
// each port about once; strangers with one tool ask the same few ports again and again.
type Clusters struct {
	by [1 << 6]cluster
}

// A cluster is what sources whose packets look the same probed lately.
type cluster struct {
	look    uint32
	told    bool
	since   int64 // of the engine's time
	last    int64
	pairs   uint32    // different (source, port)
	several uint32    // sources of more than one port,
	scans   uint32    // and of as many as make a port scan
	sources [4]uint64 // bit set over a hash of the sources
	ports   [4]uint64 // bit set over a hash of the ports
}

// Thresholds of a distributed scan, for packets that no ordinary system sends. Those
// that one does send take twice as many.
const (
	distributedSources = 8  // that take several ports each, one or two per port
	distributedPorts   = 16 // among them
	scatteredSources   = 32 // that take a port each or a little more,
	scatteredPorts     = 32 // hardly one of them twice,
	scatteredTime      = int64(20 * time.Second)
	severalScans       = 4 // sources that scan ports by themselves, each its own; of datagrams twice as many
)

// Share is how many ports of one source count: a scanner of more is found by itself.
const Share = 4

// lookOf folds what the packets of one tool have in common.
func lookOf(p *probe.Probe) uint32 {
	h := p.Options ^ uint64(p.Window)<<40 ^ uint64(p.MSS)<<24 ^ uint64(p.Technique)<<8 ^ uint64(p.Protocol)
	if p.DontFrag {
		h ^= 1 << 63
	}
	if p.Protocol == probe.ProtocolTCP {
		h ^= uint64(p.Length) << 48 // of a datagram it is the payload's, which goes by the port
	}
	return uint32(h*probe.Golden>>32) | 1
}

// A Member is the sender of a probe, as its cluster sees it.
type Member struct {
	probe.Key
	Ports    int   // that it asked, this one included
	Class    uint8 // of the port, 0 to 3
	Ordinary bool  // an ordinary system sends such packets
}

// See counts a port that is new to its source. Part says that the source takes part in a
// distributed scan, of so many sources and ports; news, that this was not known. Window
// and now are nanoseconds.
func (d *Clusters) See(p *probe.Probe, m Member, window, now int64) (part, news bool, sources, ports int) {
	c := d.find(lookOf(p), window, now, true)
	if c == nil {
		return // the place belongs to another that is busy
	}
	c.pairs++
	if m.Ports == 2 {
		c.several++
	}
	setBit(&c.sources, (m.Hi^m.Lo)*probe.Golden)
	setBit(&c.ports, (uint64(p.Port)<<2|uint64(m.Class))*probe.Golden)
	sources, ports = countBits(&c.sources), countBits(&c.ports)
	scale, scans := 1, severalScans
	if p.Protocol != probe.ProtocolTCP {
		scale, scans = 2, 2*severalScans
	} else if m.Ordinary {
		scale = 2
	}
	alone := int(c.pairs)*4 <= ports*5 // hardly a port was asked twice
	shared := sources >= scale*distributedSources && ports >= scale*distributedPorts &&
		int(c.several) >= sources/2 && int(c.pairs) <= 2*ports
	scattered := sources >= scale*scatteredSources && ports >= scale*scatteredPorts &&
		alone && now-c.since >= scatteredTime
	divided := int(c.scans) >= scans && ports >= distributedPorts && alone
	if !shared && !scattered && !divided {
		return false, false, sources, ports
	}
	news = !c.told
	c.told = true
	return true, news, sources, ports
}

// find returns the cluster of a look, or nil. With begin, it starts one in a place that
// is free or whose cluster has ended.
func (d *Clusters) find(look uint32, window, now int64, begin bool) *cluster {
	c := &d.by[look>>1%uint32(len(d.by))]
	if c.look != look || now-c.last > window || now-c.since > 4*window {
		if !begin || c.look != look && c.look != 0 && now-c.last < window/8 {
			return nil
		}
		*c = cluster{look: look, since: now}
	}
	c.last = now
	return c
}

// Scanner counts a source that scans ports by itself.
func (d *Clusters) Scanner(p *probe.Probe, window, now int64) {
	if c := d.find(lookOf(p), window, now, false); c != nil {
		c.scans++
	}
}

func setBit(set *[4]uint64, h uint64) { set[h>>62] |= 1 << (h >> 56 & 63) }

func countBits(set *[4]uint64) (n int) {
	for _, w := range set {
		n += bits.OnesCount64(w)
	}
	return n
}
