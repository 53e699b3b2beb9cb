// SPDX-License-Identifier: MIT

package crowd

import (
	"time"

	"picket/internal/probe"
)

// Decoys finds packets that differ in nothing but their source: nmap -D sends
// each probe once more for each decoy, with one source port and one sequence
// number for all (nmap's send_tcp_raw_decoys), within microseconds. Two
// strangers agree on both by chance once in 2^48 probes.
//
// It is a small table of the latest probes by what copies of them share. One
// place holds one probe; a probe that finds its place taken by an older one
// takes it.
type Decoys struct {
	sent [1 << 9]sending
}

// A sending is one probe and how many copies of it came.
type sending struct {
	flow   uint32
	at     uint32    // milliseconds of the engine's time
	first  probe.Key // the source that sent it first
	copies uint16
	slot   uint8 // of the port in its record
}

// Copied is the answer of [Decoys.See].
type Copied struct {
	First  probe.Key // the first sender
	Slot   uint8     // of the port in its record
	Copies int       // copies so far; 0 if the probe is not one
}

// decoyTime is how long after a probe its copies count as such.
const decoyTime = uint32(time.Second / time.Millisecond)

// See tells whether a probe is a copy of one that another source sent.
func (d *Decoys) See(p *probe.Probe, flow uint64, from probe.Key, slot int, now int64) Copied {
	// A datagram and a segment without a sequence number have only their ports
	// to be told by. Well-known and equal ones are no coincidence: NTP, SIP.
	if p.Seq == 0 && (p.SourcePort < 1024 || p.SourcePort == p.Port) || p.Technique == probe.Connect {
		return Copied{}
	}
	place := flow
	if p.Seq == 0 {
		// Of 200 strangers, two share a source port by chance, so only a copy next to
		// the other counts: nmap sends those of one port in a row.
		place = uint64(p.Port)
	}
	x := &d.sent[place%uint64(len(d.sent))]
	ms := uint32(now / int64(time.Millisecond))
	if x.flow != uint32(flow>>32) || ms-x.at > decoyTime {
		*x = sending{flow: uint32(flow >> 32), at: ms, first: from, slot: uint8(slot)}
		return Copied{}
	}
	if x.first == from {
		return Copied{}
	}
	x.copies = min(x.copies+1, 1<<15)
	return Copied{First: x.first, Slot: x.slot, Copies: int(x.copies)}
}
