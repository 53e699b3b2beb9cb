// SPDX-License-Identifier: MIT

package engine

import (
	"time"

	"picket/internal/probe"
)

// Ordinary traffic is let be: it makes no record and says nothing of its source.
// Each kind has a mark that a scan of all ports lacks, and a limit for one source and
// hour; the rest is judged.

// ordinary bounds what is let be. Sources share its counters by a hash, so that
// nobody gets a fresh one by pushing out another, and all begin anew each hour.
type ordinary struct {
	hour int64
	n    [1 << 10]uint16
	seed uint64
}

const (
	// strangersMost is how many packets of a stranger are let be in an hour: a
	// resolver's late answers, a traceroute.
	strangersMost = 200

	// neighboursMost is the same for a neighbour: browsers and players search the link
	// for devices every two minutes, from several ports, and each device answers a
	// search some times.
	neighboursMost = 1000
)

// allow reports whether one packet more of a source may be let be.
func (o *ordinary) allow(k probe.Key, most uint16, now int64) bool {
	if hour := now / int64(time.Hour); hour != o.hour {
		o.hour, o.n = hour, [1 << 10]uint16{}
	}
	n := &o.n[k.Mix(o.seed)%uint64(len(o.n))]
	if *n >= most {
		return false
	}
	*n++
	return true
}

// letBe returns why a probe is let be, or 0.
func (e *Engine) letBe(p *probe.Probe, source, target probe.Key) Reason {
	why, most := Reason(0), uint16(strangersMost)
	switch {
	case p.Technique != probe.UDP && p.Technique != probe.ACK && p.Technique != probe.Maimon:
		return 0
	case p.Technique == probe.UDP && probe.Discovered(p) && probe.MadeOf(p) == 0 &&
		e.neighbour(p, source, target):
		// before late answers, whose ports are counted: each search has one
		why, most = Discovery, neighboursMost
	case e.lateAnswer(p):
		why = LateAnswer
	case p.Technique == probe.UDP && probe.Traced(p):
		why = Traceroute
	default:
		return 0
	}
	if !e.ordinary.allow(e.keyIn(p.Source, source), most, e.clock.now) {
		return 0
	}
	return why
}

// lateAnswer reports whether p goes from a port below Config.Ephemeral to one from there
// on and begins no connection: the answer of a resolver, a web server or a database that
// conntrack no longer waits for. An empty datagram is no answer, nor is a segment made as
// scanners make it: IPv4 without DF, a window of nmap's without an option.
//
// A segment with a timestamp belongs to a connection, whatever its ports are: one begun
// before this host was booted, or took over an address (RFC 7323, 3.2: where there are
// timestamps, every segment has one). A scanner would learn nothing by it, since a
// listener sends the same reset.
func (e *Engine) lateAnswer(p *probe.Probe) bool {
	if p.Technique != probe.UDP && probe.Stamped(p) {
		return probe.MadeOf(p) == 0
	}
	if p.SourcePort == 0 || p.SourcePort >= e.cfg.Ephemeral || p.Port < e.cfg.Ephemeral {
		return false
	}
	return probe.MadeOf(p) == 0
}

// neighbour reports whether a source is on the same link as what it asked, by
// the prefixes of the links, or is likely to be: private addresses (RFC 1918,
// RFC 4193) and those of one /24 or /64 with ours.
func (e *Engine) neighbour(p *probe.Probe, source, target probe.Key) bool {
	if p.Source.IsPrivate() || p.Source.IsLinkLocalUnicast() {
		return true
	}
	if p.Source.Is4() {
		if source.Lo>>8 == target.Lo>>8 {
			return true
		}
	} else if source.Hi == target.Hi {
		return true
	}
	return e.cfg.OnLink.Contains(p.Source)
}
