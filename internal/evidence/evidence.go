// SPDX-License-Identifier: MIT

// Package evidence keeps the last probes of each source, in a memory of fixed size:
// the decision on each packet, why, and its first bytes. It writes them as pcapng, with
// a comment to each packet.
//
// Retransmissions, and packets on their way when their source was blocked, are counted
// and not kept: they would push out what led to the block.
//
// It needs what the engine decided. A Store belongs to one goroutine.
package evidence

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"time"
	"unsafe"

	"picket/engine"
	"picket/internal/probe"
)

// PerSource is how many probes of one source are kept: one more than the highest trigger,
// so that all that led to a block are there.
const PerSource = engine.MaxTrigger + 1

// A Probe is a kept probe. It has the printed fields of the engine's probe; the fields that
// show the tool are in Raw.
type Probe struct {
	Probe    probe.Probe
	Decision engine.Decision

	// Raw is the first bytes of the IP packet; or, of a connection that a trap
	// completed and that no single packet shows, of what the peer sent.
	Raw []byte
}

// A Store keeps probes. Make one with [New]; the zero Store keeps nothing.
//
// It divides its records among the sources. When none is free, the least recently seen
// source of a class above its share gives one up. The shares are a quarter for sources of
// a single probe, the stuff of floods, a quarter for those of more, and half for those
// reacted to.
type Store struct {
	seed    uint64
	snap    int
	raw     []byte
	records []record
	entries []entry
	buckets []int32
	classes [classes]class
	unused  int32 // entries that were dropped, linked by next
	used    int   // records: the first ones, which stay in use
	known   int   // entries
	fetched int32 // by Expect, and never read
}

// none is the index of nothing.
const none = int32(-1)

// The classes of sources, in the order in which they give up records.
const (
	single = iota
	several
	reacted
	classes
)

type class struct {
	first, last int32 // entries, the most recently seen first
	records     int
	share       int
}

// A key is a source: an address or a prefix, IPv4-mapped if it is IPv4.
type key struct {
	hi, lo uint64
	bits   uint8
}

// An entry has the kept probes of one source. Neither it nor a record has pointers, so the
// collector scans none of them.
type entry struct {
	key            key
	total          uint32 // probes, those not kept included
	newest, oldest int32  // records
	chain          int32  // the next entry of the bucket
	next, prev     int32  // of the class; next of the dropped ones
	count          uint8  // records
	class          uint8
}

type record struct {
	at                   int64
	source, target       [16]byte
	seconds, probes      uint32
	observed             probe.Observed
	iface                uint32
	next                 int32 // the one that came after it
	technique            probe.Technique
	sourcePort, port     uint16
	length, size         uint16 // on the wire, and kept
	offence              uint16
	sources, shared      uint16
	protocol, flags, ttl uint8
	mode                 probe.Mode
	action               engine.Action
	reason               engine.Reason
	pattern              engine.Pattern
	tool                 probe.Tool
	score                int8
	bits                 uint8 // how long the prefix of a reaction is
	trigger              uint8
	within, ports        uint8
	copied, inside       uint8
	neighbours, targets  uint8
	connections, invited uint8
	sent                 probe.Sent
	is                   uint8
}

// Bits of record.is.
const (
	isNew = 1 << iota
	isProven
	isLowered
	isUnread
	isOver
	isBehind
)

// New returns a store of at most memory bytes. Less than one record needs makes one that
// keeps nothing. It keeps at most snaplen bytes of each packet.
func New(memory, snaplen int) *Store {
	s := &Store{seed: rand.Uint64(), snap: snaplen, unused: none}
	cost := int(unsafe.Sizeof(record{})+unsafe.Sizeof(entry{})) + snaplen + 2*int(unsafe.Sizeof(none))
	n := memory / cost
	if n == 0 {
		return s
	}
	buckets := 1
	for 2*buckets <= 2*n {
		buckets *= 2
	}
	// Nothing is written into records and entries that are not in use: on a quiet host
	// they take no memory.
	s.raw, s.records, s.entries, s.buckets = make([]byte, n*snaplen), make([]record, n), make([]entry, n),
		make([]int32, buckets)
	for i := range s.buckets {
		s.buckets[i] = none
	}
	for i, share := range [classes]int{n / 4, n / 4, n - n/4 - n/4} {
		s.classes[i] = class{first: none, last: none, share: share}
	}
	return s
}

// Stats says how full a store is.
type Stats struct {
	Probes, Capacity int // kept, and how many may be
	Sources          int
}

// Stats returns how full the store is.
func (s *Store) Stats() Stats {
	return Stats{Probes: s.used, Capacity: len(s.records), Sources: s.known}
}

// Add keeps a probe of a source with the decision about it. It does not
// allocate, and copies raw.
func (s *Store) Add(source netip.Prefix, p *probe.Probe, d *engine.Decision, raw []byte) {
	if len(s.records) == 0 {
		return
	}
	k := keyOf(source)
	b := s.bucket(k)
	e := s.find(b, k)
	if e != none {
		s.entries[e].total++
		s.touch(e)
	}
	if d.Reason == engine.Retransmission || d.Reason == engine.AlreadyBlocked {
		return
	}
	r := s.take(e)
	if e == none {
		e = s.enter(b, k)
	}
	s.append(e, r)
	s.fill(r, p, d, raw)
	switch x := &s.entries[e]; {
	case d.Action != engine.None:
		s.move(e, reacted)
	case x.class == single && x.count > 1:
		s.move(e, several)
	}
}

// Of returns the kept probes of a source, the oldest first, and the number of all its probes
// since the first of them.
func (s *Store) Of(source netip.Prefix) (kept []Probe, total uint32) {
	if len(s.records) == 0 {
		return nil, 0
	}
	k := keyOf(source)
	e := s.find(s.bucket(k), k)
	if e == none {
		return nil, 0
	}
	for r := s.entries[e].oldest; r != none; r = s.records[r].next {
		kept = append(kept, s.read(r))
	}
	return kept, s.entries[e].total
}

func keyOf(p netip.Prefix) key {
	b := p.Addr().As16()
	bits := uint8(p.Bits())
	if p.Addr().Is4() {
		bits += 96
	}
	return key{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:]), bits}
}

func (s *Store) fill(r int32, p *probe.Probe, d *engine.Decision, raw []byte) {
	x := &s.records[r]
	next := x.next
	size := copy(s.raw[int(r)*s.snap:int(r+1)*s.snap], raw)
	*x = record{
		at: p.At, source: p.Source.As16(), target: p.Destination.As16(), next: next,
		seconds: uint32(min((d.For+time.Second-1)/time.Second, 1<<32-1)), probes: d.Probes,
		iface:     p.Interface,
		technique: p.Technique, sourcePort: p.SourcePort, port: p.Port, length: p.Length, size: uint16(size),
		offence: clip16(d.Offence), sources: clip16(d.Sources), shared: clip16(d.Shared),
		protocol: p.Protocol, flags: p.Flags, ttl: p.TTL, mode: p.Mode,
		action: d.Action, reason: d.Reason, pattern: d.Pattern, tool: d.Tool,
		trigger: clip8(d.Trigger), within: clip8(d.Within), ports: clip8(d.Ports), targets: clip8(d.Targets),
		copied: clip8(d.Copied), inside: clip8(d.Inside), neighbours: clip8(d.Neighbours), sent: p.Sent,
		connections: clip8(d.Connections), invited: clip8(d.Invited),
		score: int8(min(max(d.Score, -128), 127)), observed: d.Observed,
	}
	if d.Source.IsValid() {
		x.bits = uint8(d.Source.Bits())
	}
	for bit, set := range [...]bool{d.NewPattern, d.Proven, d.Lowered, p.Unread, p.Over, p.Behind} {
		if set {
			x.is |= 1 << bit
		}
	}
}

func clip16(n int) uint16 { return uint16(min(n, 1<<16-1)) }
func clip8(n int) uint8   { return uint8(min(n, 1<<8-1)) }

func (s *Store) read(r int32) Probe {
	x := &s.records[r]
	p := Probe{
		Probe: probe.Probe{
			At: x.at, Source: netip.AddrFrom16(x.source).Unmap(),
			Destination: netip.AddrFrom16(x.target).Unmap(),
			SourcePort:  x.sourcePort, Port: x.port, Protocol: x.protocol, Mode: x.mode,
			Technique: x.technique,
			Flags:     x.flags, TTL: x.ttl, Length: x.length, Interface: x.iface,
			Sent: x.sent, Unread: x.is&isUnread != 0, Over: x.is&isOver != 0,
			Behind: x.is&isBehind != 0,
		},
		Decision: engine.Decision{
			Action: x.action, Reason: x.reason, For: time.Duration(x.seconds) * time.Second,
			Offence: int(x.offence),
			Trigger: int(x.trigger), Lowered: x.is&isLowered != 0, Pattern: x.pattern,
			NewPattern: x.is&isNew != 0,
			Tool:       x.tool, Proven: x.is&isProven != 0, Probes: x.probes, Within: int(x.within),
			Targets: int(x.targets), Ports: int(x.ports), Sources: int(x.sources), Shared: int(x.shared),
			Copied: int(x.copied), Inside: int(x.inside), Neighbours: int(x.neighbours),
			Connections: int(x.connections), Invited: int(x.invited),
			Score: int(x.score), Observed: x.observed, Behind: x.is&isBehind != 0,
		},
		Raw: append([]byte(nil), s.raw[int(r)*s.snap:][:x.size]...),
	}
	if x.action != engine.None && x.bits > 0 {
		p.Decision.Source = netip.PrefixFrom(p.Probe.Source, int(x.bits)).Masked()
	}
	return p
}
