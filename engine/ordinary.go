// SPDX-License-Identifier: MIT

package engine

import "time"

// What comes by in ordinary life is let be: it makes no record and says nothing
// of its source. Each kind is told by what a scan of all ports lacks, and so much
// of it is let be from one source in an hour; what is more is judged like anything.

// ordinary bounds what is let be. Sources share its counters by a hash, so that
// nobody gets a fresh one by pushing out another, and all begin anew each hour.
type ordinary struct {
	hour int64
	n    [1 << 10]uint8
	seed uint64
}

const (
	// strangersMost is how many packets of a stranger are let be in an hour: a
	// resolver's late answers, a traceroute.
	strangersMost = 200

	// neighboursMost is the same for a neighbour: a browser searches the link for
	// devices every two minutes, and each device answers a search some times.
	neighboursMost = 250
)

// allow reports whether one packet more of a source may be let be.
func (o *ordinary) allow(k key, most uint8, now int64) bool {
	if hour := now / int64(time.Hour); hour != o.hour {
		o.hour, o.n = hour, [1 << 10]uint8{}
	}
	n := &o.n[k.mix(o.seed)%uint64(len(o.n))]
	if *n >= most {
		return false
	}
	*n++
	return true
}

// letBe returns why a probe is let be, or 0.
func (e *Engine) letBe(p *Probe, source, target key) Reason {
	why, most := Reason(0), uint8(strangersMost)
	switch {
	case p.Technique != UDP && p.Technique != ACK && p.Technique != Maimon:
		return 0
	case e.lateAnswer(p):
		why = LateAnswer
	case p.Technique == UDP && traced(p):
		why = Traceroute
	case p.Technique == UDP && discovered(p) && madeOf(p) == 0 && e.neighbour(p, source, target):
		why, most = Discovery, neighboursMost
	default:
		return 0
	}
	if !e.ordinary.allow(e.keyIn(p.Source, source), most, e.clock.now) {
		return 0
	}
	return why
}

// lateAnswer reports whether p comes from a port below those that this host
// uses for its own connections to one of these, and is nothing that starts a
// connection: the answer of a resolver, a web server or a database that
// conntrack has given up waiting for. It is none if it is empty, as no answer
// is, or a segment as scanners make it: IPv4 without DF, a window of nmap's
// without an option.
func (e *Engine) lateAnswer(p *Probe) bool {
	if p.SourcePort == 0 || p.SourcePort >= e.cfg.Ephemeral || p.Port < e.cfg.Ephemeral {
		return false
	}
	return madeOf(p) == 0
}

// traced reports whether a datagram is a traceroute's: it arrives with a time to
// live that is all but used up, or at the ports from 33434 on that traceroute
// counts up, one for each of 255 hops (its manual, -p).
func traced(p *Probe) bool {
	return p.Port >= 32768 && p.TTL <= nearTTL || p.Port >= 33434 && p.Port < 33434+255 && madeOf(p) == 0
}

// discovered reports whether a datagram answers a search of the link: from the
// port of SSDP (UPnP Device Architecture 1.1, 1.3.3), WS-Discovery (its
// specification, 3.1), mDNS (RFC 6762, 6.7), LLMNR (RFC 4795, 2) or NetBIOS
// (RFC 1002, 4.2), or from any other to a port of our own programs, since SSDP
// answers come from one that the device chooses.
func discovered(p *Probe) bool {
	switch p.SourcePort {
	case 1900, 3702, 5353, 5355, 137:
		return p.Port >= 1024
	}
	return p.SourcePort >= 1024 && p.Port >= 32768
}
