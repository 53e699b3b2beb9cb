// SPDX-License-Identifier: MIT

package packet

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"picket/internal/probe"
)

// unhex reads a packet written in hex, blanks and newlines ignored.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatalf("hex %q: %v", s, err)
	}
	return b
}

// describe is one line that shows all of p.
func describe(p Packet) string {
	var w strings.Builder
	fmt.Fprintf(&w, "has=%08b %v > %v proto=%d len=%d ttl=%d id=%d df=%t", p.Has, p.Source, p.Destination,
		p.Protocol, p.Length, p.TTL, p.ID, p.DontFrag)
	if p.Fragment() {
		fmt.Fprintf(&w, " frag=%d@%d more=%t at=%d", p.FragmentID, p.Offset, p.More, p.FragmentAt)
	}
	if p.Has&HasPorts != 0 {
		fmt.Fprintf(&w, " ports=%d>%d", p.SourcePort, p.Port)
	}
	if p.Protocol == probe.ProtocolTCP {
		fmt.Fprintf(&w, " %s seq=%d ack=%d win=%d opt=%016x mss=%d", probe.FlagNames(p.Flags), p.Seq, p.Ack,
			p.Window, p.Options, p.MSS)
	}
	if p.Protocol == probe.ProtocolSCTP {
		fmt.Fprintf(&w, " chunk=%d tag=%d", p.Chunk, p.Tag)
	}
	if p.icmpProtocol() {
		fmt.Fprintf(&w, " icmp=%d/%d id=%d", p.Type, p.Code, p.Identifier)
	}
	if e := p.Embedded; p.Has&HasEmbedded != 0 {
		fmt.Fprintf(&w, " quotes %d %v:%d > %v:%d ports=%t", e.Protocol, e.Source, e.SourcePort,
			e.Destination, e.Port, e.HasPorts)
	}
	fmt.Fprintf(&w, " payload=%d", len(p.Payload))
	return w.String()
}

// TestSamples holds every field of every sample against a golden file that
// was read over by hand; lab/oracle checks whole captures with gopacket.
func TestSamples(t *testing.T) {
	var got bytes.Buffer
	for _, s := range samples {
		var p Packet
		if r := Decode(unhex(t, s.hex), &p); r != OK {
			t.Errorf("%s: %v", s.name, r)
		}
		fmt.Fprintf(&got, "%s\n\t%s\n", s.name, describe(p))
	}
	const golden = "testdata/samples.golden"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got.String()); d != "" {
		t.Errorf("samples (-want +got); -update renews the file:\n%s", d)
	}
}

var update = flag.Bool("update", false, "write golden files anew")

// ip4 and ip6 put a header of 192.0.2.2 > 192.0.2.1 or 2001:db8::2 > 2001:db8::1 before rest.
func ip4(protocol uint8, rest ...byte) []byte {
	n := 20 + len(rest)
	return append([]byte{0x45, 0, byte(n >> 8), byte(n), 0x12, 0x34, 0x40, 0, 64, protocol, 0, 0, 192, 0, 2,
		2, 192, 0, 2, 1}, rest...)
}

func ip6(next uint8, rest ...byte) []byte {
	head := make([]byte, 40, 40+len(rest))
	head[0], head[4], head[5], head[6], head[7] = 0x60, byte(len(rest)>>8), byte(len(rest)), next, 64
	source, dest := netip.MustParseAddr("2001:db8::2").As16(), netip.MustParseAddr("2001:db8::1").As16()
	copy(head[8:], source[:])
	copy(head[24:], dest[:])
	return append(head, rest...)
}

// syn is a TCP SYN of port 1234 to port 23 without options.
func syn() []byte {
	return []byte{0x04, 0xd2, 0, 23, 0, 0, 0, 7, 0, 0, 0, 0, 0x50, probe.FlagSYN, 4, 0, 0, 0, 0, 0}
}

// TestShapes decodes packets that no tool at hand sends.
func TestShapes(t *testing.T) {
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	ext := func(next, units byte) []byte {
		return append([]byte{next, units},
			make([]byte, 6+8*int(units))...)
	}
	frag := func(next byte, word uint16) []byte {
		return []byte{next, 0, byte(word >> 8), byte(word), 0, 0, 0,
			9}
	}
	tcp := HasAddresses | HasProtocol | HasPorts | HasKind | HasTransport | HasOptions
	tests := []struct {
		name     string
		b        []byte
		reason   Reason
		has      Has
		protocol uint8
		port     uint16
		payload  int
	}{
		{"nothing", nil, Short, 0, 0, 0, 0},
		{"version 5", []byte{0x55, 1, 2, 3}, Version, 0, 0, 0, 0},
		{"19 bytes of IPv4", ip4(6)[:19], Short, 0, 0, 0, 0},
		{"39 bytes of IPv6", ip6(6)[:39], Short, 0, 0, 0, 0},
		{"IPv4 header of 16 bytes", append([]byte{0x44}, ip4(6)[1:]...), Header, 0, 0, 0, 0},
		{"IPv4 total length below its header", append([]byte{0x45, 0, 0, 19}, ip4(6)[4:]...), Header, 0, 0, 0,
			0},
		{"IPv4 alone", ip4(6), OK, HasAddresses | HasProtocol, 6, 0, 0},
		{"length 0, as the card gets it", append([]byte{0x45, 0, 0, 0}, ip4(6, syn()...)[4:]...), OK, tcp, 6,
			23, 0},
		{"Ethernet padding", append(ip4(6, syn()...), 0, 0, 0, 0, 0, 0), OK, tcp, 6, 23, 0},
		{"TCP header of 12 bytes", ip4(6, append(syn()[:12:12], 0x30, 2, 4, 0, 0, 0, 0, 0)...), OK,
			tcp &^ HasOptions, 6, 23, 0},
		{"TCP header beyond the packet", ip4(6, append(syn()[:12:12], 0xf0, 2, 4, 0, 0, 0, 0, 0)...), OK,
			tcp &^ HasOptions, 6, 23, 0},
		{"ICMPv6 over IPv4 is a protocol like any", ip4(58, 1, 2, 3, 4), OK,
			HasAddresses | HasProtocol | HasKind | HasTransport, 58, 0, 4},
		{"ICMP over IPv6 likewise", ip6(1, 8, 0, 3, 4), OK,
			HasAddresses | HasProtocol | HasKind | HasTransport, 1, 0, 4},
		{"IPv6 hop-by-hop", ip6(0, join(ext(6, 0), syn())...), OK, tcp, 6, 23, 0},
		{"IPv6 options of 16 bytes", ip6(60, join(ext(6, 1), syn())...), OK, tcp, 6, 23, 0},
		{"IPv6 hop-by-hop, routing, options", ip6(0, join(ext(43, 0), ext(60, 0), ext(6, 0), syn())...), OK,
			tcp, 6, 23, 0},
		{"IPv6 AH of 24 bytes", ip6(51, join([]byte{6, 4}, make([]byte, 22), syn())...), OK, tcp, 6, 23, 0},
		{"IPv6 atomic fragment", ip6(44, join(frag(6, 0), syn())...), OK, tcp, 6, 23, 0},
		{"IPv6 first fragment of 8 bytes", ip6(44, join(frag(6, 1), syn()[:8])...), OK,
			HasAddresses | HasProtocol | HasPorts, 6, 23, 0},
		{"IPv6 later fragment", ip6(44, join(frag(6, 8), syn()[8:])...), OK, HasAddresses | HasProtocol, 6, 0,
			12},
		{"IPv6 later fragment of options", ip6(44, join(frag(60, 8), syn()[8:])...), OK,
			HasAddresses | HasProtocol, 60, 0, 12},
		{"IPv6 mobility is an upper layer", ip6(135, 59, 0, 0, 0, 0, 0, 0, 0), OK,
			HasAddresses | HasProtocol | HasKind | HasTransport, 135, 0, 8},
		{"IPv6 no next header", ip6(59), OK, HasAddresses | HasProtocol | HasKind | HasTransport, 59, 0, 0},
		{"IPv6 option header beyond the end", ip6(60, ext(6, 0)[:4]...), Extension, HasAddresses, 0, 0, 0},
		{"IPv6 option header longer than the packet", ip6(60, append([]byte{6, 9}, syn()...)...), Extension,
			HasAddresses | HasProtocol, 6, 0, 0},
		{"IPv6 option header cut off", ip6(60, append([]byte{6, 30}, make([]byte, 400)...)...)[:128], OK,
			HasAddresses | HasProtocol, 6, 0, 0},
		{"IPv6 seventeen headers", ip6(60, join(bytes.Repeat(ext(60, 0), 16), ext(6, 0), syn())...), OK, tcp,
			6, 23, 0},
		{"IPv6 257 headers", ip6(60, join(bytes.Repeat(ext(60, 0), 256), ext(6, 0), syn())...), TooMany,
			HasAddresses, 0, 0, 0},
		{"IPv6 mapped source", append(append(ip6(6)[:8:8], unhexMapped...), ip6(6, syn()...)[24:]...), Mapped,
			0, 0, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := Packet{Port: 9, Options: 9, Payload: []byte{1}} // Decode overwrites all of it
			r := Decode(tt.b, &p)
			if r != tt.reason || p.Has != tt.has || p.Protocol != tt.protocol || p.Port != tt.port ||
				len(p.Payload) != tt.payload {
				t.Errorf("got %v has=%08b protocol=%d port=%d payload=%d\n"+
					"want %v has=%08b protocol=%d port=%d payload=%d",
					r, p.Has, p.Protocol, p.Port, len(p.Payload), tt.reason, tt.has, tt.protocol, tt.port,
					tt.payload)
			}
			if r == Mapped && p.Source.IsValid() {
				t.Errorf("a mapped address came through: %v", p.Source)
			}
		})
	}
}

var unhexMapped = []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7}

// TestOptions reads option lists as the kernel does.
func TestOptions(t *testing.T) {
	tests := []struct {
		name string
		list []byte
		want uint64
		mss  uint16
	}{
		{"nmap", []byte{2, 4, 5, 0xb4}, 2 << 56, 1460},
		{"Linux", []byte{2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 3, 10}, 0x0204080103 << 24,
			1460},
		{"ends at EOL", []byte{1, 0, 2, 4}, 1 << 56, 0},
		{"eight at most", []byte{1, 1, 1, 1, 1, 1, 1, 4, 2, 3, 3, 1}, 0x0101010101010104, 0},
		{"length 0", []byte{1, 2, 0, 0}, 1 << 56, 0},
		{"longer than the list", []byte{1, 2, 4, 5}, 1 << 56, 0},
		{"MSS of the wrong length", []byte{2, 3, 5, 1}, 0x0201 << 48, 0},
		{"the first MSS counts", []byte{2, 4, 0, 1, 2, 4, 0, 2}, 0x0202 << 48, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := syn()
			b[12] = byte(20+len(tt.list)) / 4 << 4
			var p Packet
			Decode(ip4(6, append(b, tt.list...)...), &p)
			if p.Options != tt.want || p.MSS != tt.mss || p.Has&HasOptions == 0 {
				t.Errorf("got %016x mss %d has %b, want %016x mss %d", p.Options, p.MSS, p.Has, tt.want,
					tt.mss)
			}
		})
	}
}

func TestAllocs(t *testing.T) {
	for _, s := range samples {
		b := unhex(t, s.hex)
		var p Packet
		if n := testing.AllocsPerRun(100, func() {
			Decode(b, &p)
			p.Probe(probe.Stealth, 1, 2)
		}); n != 0 {
			t.Errorf("%s: %v allocations", s.name, n)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, s := range samples {
		switch s.name {
		case "nmap -sS", "nmap -6 -sS", "nmap -sT", "port unreachable over IPv6":
			b.Run(s.name, func(b *testing.B) {
				data := unhex(b, s.hex)
				b.ReportAllocs()
				var p Packet
				for b.Loop() {
					Decode(data, &p)
				}
			})
		}
	}
}

func BenchmarkProbe(b *testing.B) {
	data := unhex(b, samples[0].hex)
	b.ReportAllocs()
	var p Packet
	for b.Loop() {
		Decode(data, &p)
		if _, ok := p.Probe(probe.Stealth, 1, 2); !ok {
			b.Fatal("no probe")
		}
	}
}
