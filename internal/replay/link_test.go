// SPDX-License-Identifier: MIT

package replay

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"picket/internal/probe"
)

// attribute is one of NFLOG's, in little endian.
func attribute(kind uint16, value ...byte) []byte {
	b := binary.LittleEndian.AppendUint16(nil, uint16(4+len(value)))
	b = append(binary.LittleEndian.AppendUint16(b, kind), value...)
	return append(b, make([]byte, -len(b)&3)...)
}

func TestLinks(t *testing.T) {
	packet := tcp(them, us, 5, 23, syn)
	packet6 := tcp("2001:db8:1::7", "2001:db8::1", 5, 23, syn)
	with := func(head string, rest ...[]byte) []byte { return append([]byte(head), bytes.Join(rest, nil)...) }
	macs := "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02"
	time := attribute(3, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 5)
	nflog := func(parts ...[]byte) []byte { return with("\x02\x00\x00\x05", parts...) }
	tests := []struct {
		name string
		link uint32
		b    []byte
		want string
	}{
		{"Ethernet", linkEthernet, with(macs+"\x08\x00", packet), "advanced syn 23"},
		{"Ethernet, IPv6", linkEthernet, with(macs+"\x86\xdd", packet6), "advanced syn 23"},
		{"Ethernet, 802.1Q", linkEthernet, with(macs+"\x81\x00\x00\x07\x08\x00", packet), "advanced syn 23"},
		{"Ethernet, QinQ", linkEthernet, with(macs+"\x88\xa8\x00\x07\x81\x00\x00\x07\x86\xdd", packet6),
			"advanced syn 23"},
		{"Ethernet, tag cut off", linkEthernet, with(macs + "\x81\x00\x00"), "not-ip"},
		{"Ethernet, five tags", linkEthernet, with(macs+strings.Repeat("\x81\x00\x00\x07", 5)+"\x08\x00",
			packet), "not-ip"},
		{"Ethernet, PPPoE", linkEthernet, with(macs+"\x88\x64\x11\x00\x00\x07\x00\x2a\x00\x21", packet),
			"advanced syn 23"},
		{"Ethernet, 802.1Q, PPPoE, IPv6", linkEthernet,
			with(macs+"\x81\x00\x00\x07\x88\x64\x11\x00\x00\x07\x00\x3e\x00\x57", packet6),
			"advanced syn 23"},
		{"Ethernet, PPPoE, LCP", linkEthernet, with(macs+"\x88\x64\x11\x00\x00\x07\x00\x2a\xc0\x21", packet),
			"not-ip"},
		{"Ethernet, PPPoE cut off", linkEthernet, with(macs + "\x88\x64\x11\x00\x00\x07\x00"), "not-ip"},
		{"Ethernet, MPLS", linkEthernet, with(macs+"\x88\x47\x00\x01\x01\x40", packet), "advanced syn 23"},
		{"Ethernet, MPLS, three labels, IPv6", linkEthernet,
			with(macs+"\x88\x47\x00\x01\x00\x40\x00\x01\x00\x40\x00\x01\x01\x40", packet6),
			"advanced syn 23"},
		{"Ethernet, MPLS without a bottom", linkEthernet, with(macs+"\x88\x47",
			bytes.Repeat([]byte{0, 1, 0, 64}, 20)), "not-ip"},
		{"Ethernet, ARP", linkEthernet, with(macs + "\x08\x06\x00\x01"), "not-ip"},
		{"Ethernet, cut off", linkEthernet, []byte(macs), "not-ip"},
		{"Ethernet, to a group", linkEthernet, with("\x01"+macs[1:]+"\x08\x00", packet), "broadcast"},
		{"raw", linkRaw, packet6, "advanced syn 23"},
		{"raw, 12", linkRaw12, packet, "advanced syn 23"},
		{"raw, 14", linkRaw14, packet, "advanced syn 23"},
		{"IPv4", linkIPv4, packet, "advanced syn 23"},
		{"IPv6", linkIPv6, packet6, "advanced syn 23"},
		{"BSD loopback, little endian", linkNull, with("\x02\x00\x00\x00", packet), "advanced syn 23"},
		{"BSD loopback, big endian", linkNull, with("\x00\x00\x00\x1e", packet6), "advanced syn 23"},
		{"OpenBSD loopback", linkLoop, with("\x00\x00\x00\x18", packet6), "advanced syn 23"},
		{"BSD loopback, AppleTalk", linkNull, with("\x10\x00\x00\x00", packet), "not-ip"},
		{"cooked", linkCooked, with("\x00\x00\x00\x01\x00\x06abcdefgh\x08\x00", packet), "advanced syn 23"},
		{"cooked, broadcast", linkCooked, with("\x00\x01\x00\x01\x00\x06abcdefgh\x08\x00", packet),
			"broadcast"},
		{"cooked, to another host", linkCooked, with("\x00\x03\x00\x01\x00\x06abcdefgh\x08\x00", packet),
			"foreign"},
		{"cooked, outgoing", linkCooked, with("\x00\x04\x00\x01\x00\x06abcdefgh\x08\x00", packet), "own"},
		{"cooked, loopback", linkCooked, with("\x00\x00\x03\x04\x00\x06abcdefgh\x08\x00", packet), "own"},
		{"cooked 2, loopback", linkCooked2, with("\x08\x00\x00\x00\x00\x00\x00\x01\x03\x04\x00\x06abcdefgh",
			packet), "own"},
		{"cooked, cut off", linkCooked, []byte("\x00\x00\x00\x01"), "not-ip"},
		{"cooked 2", linkCooked2, with("\x86\xdd\x00\x00\x00\x00\x00\x02\x00\x01\x00\x06abcdefgh", packet6),
			"advanced syn 23"},
		{"cooked 2, outgoing", linkCooked2, with("\x08\x00\x00\x00\x00\x00\x00\x02\x00\x01\x04\x06abcdefgh",
			packet), "own"},
		{"NFLOG, classic", linkNFLOG, nflog(attribute(10, []byte("classic\x00")...), attribute(9, packet...)),
			"classic syn 23"},
		{"NFLOG, the slow lane", linkNFLOG, nflog(attribute(10, []byte("stealth bulk\x00")...),
			attribute(9, packet...)), "stealth syn 23"},
		{"NFLOG, from behind the host", linkNFLOG, nflog(attribute(10, []byte("advanced outward\x00")...),
			attribute(9, packet...)), "own"},
		{"NFLOG, payload first", linkNFLOG, nflog(attribute(9, packet6...),
			attribute(10, []byte("advanced\x00")...)), "advanced syn 23"},
		{"NFLOG, somebody's rule", linkNFLOG, nflog(attribute(10, []byte("DROP: \x00")...),
			attribute(9, packet...)), "advanced syn 23"},
		{"NFLOG, attributes of the network's order flag", linkNFLOG, nflog(attribute(0x8000|9, packet...),
			time), "advanced syn 23"},
		{"NFLOG, no payload", linkNFLOG, nflog(time), "not-ip"},
		{"NFLOG, attribute of 0 bytes", linkNFLOG, nflog([]byte{0, 0, 9, 0, 1, 2, 3, 4}), "not-ip"},
		{"NFLOG, payload beyond the end", linkNFLOG, nflog(attribute(9, packet...)[:40]), "advanced syn 23"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := verdicts(t, Rules{}, Memory(tt.name, pcap(tt.link, sent{1, tt.b})))
			if err != nil || strings.Join(got, " ") != tt.want {
				t.Errorf("got %q %v, want %q", got, err, tt.want)
			}
		})
	}
}

// TestFrameFields: what cooked and NFLOG frames tell besides the packet.
func TestFrameFields(t *testing.T) {
	var f frame
	f.unwrap(&record{link: linkCooked2,
		data: append([]byte("\x08\x00\x00\x00\x00\x00\x01\x02\x00\x01\x00\x06abcdefgh"), 0x45)})
	if f.index != 0x102 || len(f.ip) != 1 {
		t.Errorf("cooked: %+v", f)
	}
	b := bytes.Join([][]byte{{2, 0, 0, 5}, attribute(10, []byte("advanced bulk\x00")...),
		attribute(4, 0, 0, 0, 7),
		attribute(3, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 5), attribute(9, 1, 2, 3)}, nil)
	f.unwrap(&record{link: linkNFLOG, data: b, little: true})
	if f.index != 7 || f.at != 9_000_005_000 || f.mode != probe.Advanced ||
		!bytes.Equal(f.ip, []byte{1, 2, 3}) {
		t.Errorf("NFLOG: %+v", f)
	}
	if stamp(1<<33, 0) != 0 || stamp(1, 1e6) != 0 {
		t.Error("an impossible time was taken")
	}
}

// TestLanes: what a rule of picket's says of a source is the probe's.
func TestLanes(t *testing.T) {
	for prefix, want := range map[string]probe.Probe{"advanced": {}, "advanced bulk": {},
		"advanced over": {Over: true}, "advanced held": {Held: true}} {
		b := bytes.Join([][]byte{{2, 0, 0, 5}, attribute(10, append([]byte(prefix), 0)...),
			attribute(9, tcp(them, us, 5, 23, syn)...)}, nil)
		n := 0
		_, err := Run(t.Context(), []Source{Memory(prefix, pcap(linkNFLOG, sent{0, b}))}, Rules{},
			func(r *Record) {
				if n++; !r.Mirrored || r.Probe.Mode != probe.Advanced || r.Probe.Over != want.Over ||
					r.Probe.Held != want.Held {
					t.Errorf("%s: %+v", prefix, r.Probe)
				}
			})
		if err != nil || n != 1 {
			t.Errorf("%s: %v, %d packets", prefix, err, n)
		}
	}
}
