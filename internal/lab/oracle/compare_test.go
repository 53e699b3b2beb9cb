// SPDX-License-Identifier: MIT

package oracle

import (
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"picket/internal/packet"
)

// compare compares p with one layer of gopacket's.
func compare(t *testing.T, p *packet.Packet, l gopacket.Layer) {
	t.Helper()
	equal := func(what string, got, want any) {
		t.Helper()
		if got != want {
			t.Errorf("%s: got %v, gopacket has %v", what, got, want)
		}
	}
	switch l := l.(type) {
	case *layers.IPv4:
		source, _ := netip.AddrFromSlice(l.SrcIP.To4())
		dest, _ := netip.AddrFromSlice(l.DstIP.To4())
		equal("source", p.Source, source)
		equal("destination", p.Destination, dest)
		equal("protocol", p.Protocol, uint8(l.Protocol))
		equal("ttl", p.TTL, l.TTL)
		equal("id", p.ID, l.Id)
		equal("length", p.Length, uint32(l.Length))
		equal("df", p.DontFrag, l.Flags&layers.IPv4DontFragment != 0)
		equal("more", p.More, l.Flags&layers.IPv4MoreFragments != 0)
		equal("offset", p.Offset, l.FragOffset*8)
	case *layers.IPv6:
		source, _ := netip.AddrFromSlice(l.SrcIP)
		dest, _ := netip.AddrFromSlice(l.DstIP)
		equal("source", p.Source, source)
		equal("destination", p.Destination, dest)
		equal("hop limit", p.TTL, l.HopLimit)
		equal("length", p.Length, uint32(l.Length)+40)
	case *layers.IPv6Fragment:
		equal("fragment id", p.FragmentID, l.Identification)
		equal("offset", p.Offset, l.FragmentOffset*8)
		equal("more", p.More, l.MoreFragments)
		equal("protocol", p.Protocol, uint8(l.NextHeader))
	case *layers.TCP:
		compareTCP(t, p, l)
	case *layers.UDP:
		equal("source port", p.SourcePort, uint16(l.SrcPort))
		equal("port", p.Port, uint16(l.DstPort))
		equal("payload", string(p.Payload), string(l.Payload))
	case *layers.SCTP:
		equal("source port", p.SourcePort, uint16(l.SrcPort))
		equal("port", p.Port, uint16(l.DstPort))
	case *layers.SCTPInit:
		equal("chunk", p.Chunk, uint8(l.Type))
		equal("tag", p.Tag, l.InitiateTag)
	case *layers.ICMPv4:
		equal("type", p.Type, l.TypeCode.Type())
		equal("code", p.Code, l.TypeCode.Code())
		if p.Has&packet.HasIdentifier != 0 {
			equal("identifier", p.Identifier, l.Id)
		}
	case *layers.ICMPv6:
		equal("type", p.Type, l.TypeCode.Type())
		equal("code", p.Code, l.TypeCode.Code())
	case *layers.ICMPv6Echo:
		equal("identifier", p.Identifier, l.Identifier)
	}
}

func compareTCP(t *testing.T, p *packet.Packet, l *layers.TCP) {
	t.Helper()
	var flags uint8
	for i, set := range []bool{l.FIN, l.SYN, l.RST, l.PSH, l.ACK, l.URG, l.ECE, l.CWR} {
		if set {
			flags |= 1 << i
		}
	}
	var kinds uint64
	var mss uint16
	for i, o := range l.Options {
		kinds |= uint64(o.OptionType) << (56 - 8*i)
		if o.OptionType == layers.TCPOptionKindMSS {
			mss = uint16(o.OptionData[0])<<8 | uint16(o.OptionData[1])
		}
	}
	got := [...]uint64{uint64(p.SourcePort), uint64(p.Port), uint64(p.Seq), uint64(p.Ack), uint64(p.Flags),
		uint64(p.Window), p.Options, uint64(p.MSS), uint64(len(p.Payload))}
	want := [...]uint64{uint64(l.SrcPort), uint64(l.DstPort), uint64(l.Seq), uint64(l.Ack), uint64(flags),
		uint64(l.Window), kinds, uint64(mss), uint64(len(l.Payload))}
	if got != want {
		t.Errorf("tcp: got %x, gopacket has %x", got, want)
	}
}
