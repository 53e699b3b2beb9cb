// SPDX-License-Identifier: MIT

package replay

import (
	"net/netip"
	"testing"

	"picket/internal/packet"
	"picket/internal/probe"
)

// Late packets of a peer that a host asked are let be for ten minutes, segments of one
// source twenty at once and one a second. Packets of others are not.
func TestQuestions(t *testing.T) {
	us, them := netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("198.51.100.53")
	ask := func(protocol uint8, port uint16) *packet.Packet {
		return &packet.Packet{Source: us, Destination: them, Protocol: protocol, SourcePort: 40000,
			Port: port, Flags: probe.FlagSYN, Has: packet.HasPorts}
	}
	answer := func(protocol uint8, from, to uint16) *packet.Packet {
		return &packet.Packet{Source: them, Destination: us, Protocol: protocol, SourcePort: from, Port: to,
			Flags: probe.FlagACK, Has: packet.HasPorts}
	}
	q, at := newQuestions(), int64(1e18)
	q.note(ask(probe.ProtocolUDP, 53), at)
	q.note(ask(probe.ProtocolTCP, 443), at)
	segment := ask(probe.ProtocolTCP, 80)
	segment.Flags = probe.FlagACK // asks nothing
	q.note(segment, at)
	at += 300e9
	for i := range uint16(100) {
		if !q.answers(answer(probe.ProtocolUDP, 53, 40000+i), at) {
			t.Fatalf("answer %d to a datagram", i)
		}
		if got := q.answers(answer(probe.ProtocolTCP, 443, 40000+i), at); got != (i < 20) {
			t.Fatalf("segment %d: %v", i, got)
		}
	}
	if !q.answers(answer(probe.ProtocolTCP, 443, 40000), at+1e9) {
		t.Error("none more after a second")
	}
	for _, p := range []*packet.Packet{answer(probe.ProtocolUDP, 54, 40000),
		answer(probe.ProtocolTCP, 53, 40000), answer(probe.ProtocolTCP, 80, 40000)} {
		if q.answers(p, at) {
			t.Errorf("port %d of protocol %d was never asked", p.SourcePort, p.Protocol)
		}
	}
	if q.answers(answer(probe.ProtocolUDP, 53, 40000), at+301e9) {
		t.Error("an answer after ten minutes")
	}
}
