// SPDX-License-Identifier: MIT

package nflog

import (
	"bytes"
	"encoding/binary"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"picket/internal/nlmsg"

	"picket/internal/packet"
	"picket/internal/probe"
)

// The attributes of a log message in use, and the sizes of their values in bytes
// (include/uapi/linux/netfilter/nfnetlink_log.h).
const (
	attrHeader    = 1  // NFULA_PACKET_HDR: protocol and hook, 4
	attrTimestamp = 3  // NFULA_TIMESTAMP: seconds and microseconds, 8 bytes each
	attrInDevice  = 4  // NFULA_IFINDEX_INDEV, 4
	attrPayload   = 9  // NFULA_PAYLOAD
	attrPrefix    = 10 // NFULA_PREFIX, ended by a zero
	attrSequence  = 12 // NFULA_SEQ, 4
)

// A message is a decoded log message. Its slices point into the datagram.
type message struct {
	payload, prefix []byte
	at              int64 // nanoseconds since the epoch; 0 without a time
	in              uint32
	forwarded       bool // the rule is in the hook forward
	sequence        uint32
	numbered        bool
}

// readMessage reads the attributes of a log message, up to one that does not fit.
func readMessage(b []byte) (m message) {
	for kind, v := range nlmsg.Attributes(b) {
		switch {
		case kind == attrPayload:
			m.payload = v
		case kind == attrHeader && len(v) >= 4: // struct nfulnl_msg_packet_hdr
			m.forwarded = v[2] == unix.NF_INET_FORWARD
		case kind == attrPrefix:
			m.prefix, _, _ = bytes.Cut(v, []byte{0})
		case kind == attrTimestamp && len(v) >= 16:
			seconds, micros := binary.BigEndian.Uint64(v), binary.BigEndian.Uint64(v[8:])
			m.at = time.Unix(int64(seconds), int64(micros)*1000).UnixNano()
		case kind == attrInDevice && len(v) >= 4:
			m.in = binary.BigEndian.Uint32(v)
		case kind == attrSequence && len(v) >= 4:
			m.sequence, m.numbered = binary.BigEndian.Uint32(v), true
		}
	}
	return m
}

// A lane is a decoded prefix of a log rule.
type lane struct {
	mode probe.Mode
	over bool // the source sends more than the rules mirror
	held bool // the source has passed a trigger by the rules' own count
	out  bool // the source is behind this host
	ok   bool
}

// mostLanes is how many prefixes are remembered: the table has some dozen.
const mostLanes = 64

// laneOf reads the prefix: the mode, with "bulk" for the batched lane, or "over",
// "held" or "outward".
func (r *Reader) laneOf(prefix []byte) lane {
	l, known := r.lanes[string(prefix)]
	if !known {
		name, kind, _ := strings.Cut(string(prefix), " ")
		l.mode, l.ok = probe.ParseMode(name)
		l.over, l.held, l.out = kind == "over", kind == "held", kind == "outward"
		if len(r.lanes) >= mostLanes {
			clear(r.lanes) // prefixes of another program's rules
		}
		r.lanes[string(prefix)] = l
	}
	return l
}

// probeOf makes a probe of a message. Ok is false if it is none.
func (r *Reader) probeOf(m *message) (probe.Probe, bool) {
	l := r.laneOf(m.prefix)
	if m.payload == nil || !l.ok {
		return probe.Probe{}, false
	}
	var p packet.Packet
	if packet.Decode(m.payload, &p) != packet.OK {
		return probe.Probe{}, false
	}
	// A packet without a time (locally made, at hooks after forward) has the time of now.
	at := m.at
	if at == 0 {
		at = time.Now().UnixNano()
	}
	if m.forwarded && l.mode == probe.Classic && p.Protocol == probe.ProtocolTCP {
		l.mode = probe.Advanced // the trap is for this host only
	}
	if found, ok := p.Probe(l.mode, at, m.in); ok {
		found.Over, found.Held, found.Behind, found.Outward = l.over, l.held, m.forwarded, l.out
		return found, true
	}
	if p.Has&packet.HasAddresses == 0 {
		return probe.Probe{}, false
	}
	// If extension headers are longer than snaplen, the port is not in the copy, but the rule
	// has found it monitored. The packet is a probe, and each one counts as a new port.
	if p.Has&packet.HasProtocol == 0 {
		p.Protocol = probe.ProtocolTCP // as most rules ask for; [ip] may be off, or only log
	}
	return probe.Probe{
		At: at, Source: p.Source, Destination: p.Destination, Protocol: p.Protocol, Mode: l.mode, TTL: p.TTL,
		Interface: m.in, Unread: true, Over: l.over, Held: l.held, Behind: m.forwarded, Outward: l.out,
	}, true
}
