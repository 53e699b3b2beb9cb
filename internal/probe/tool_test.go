// SPDX-License-Identifier: MIT

package probe_test

import (
	"encoding/hex"
	"net/netip"
	"os"
	"strings"
	"testing"

	"picket/internal/packet"
	"picket/internal/probe"
)

// TestTools names the packets of real tools by each of them alone.
func TestTools(t *testing.T) {
	text, err := os.ReadFile("testdata/tools.txt")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]probe.Tool{
		"nmap-sS": probe.Nmap, "nmap-sF": probe.Nmap, "nmap-sX": probe.Nmap, "nmap-sA": probe.Nmap,
		"nmap-6": probe.Nmap,
		"nmap-D": probe.Nmap, "nmap-sT": probe.Linux, "nping": probe.Nping,
		"masscan": probe.Masscan, "masscan6": probe.Masscan, "zmap": probe.ZMap, "hping": probe.Hping,
		"zmap-udp": probe.ZMap, "nping-udp": probe.Nping, "hping-F": probe.Hping, "hping-N": probe.Hping,
		"hping-X": probe.Hping, "hping-A": probe.Hping,
		"scanssh": probe.ScanSSH, "packit": probe.Packit, "mausezahn": probe.Mausezahn,
		"netwox": probe.Netwox, "scapy": probe.Scapy,
		// by one packet: see engine's TestToolsOfOnePort
		"tcp6": probe.IPv6Toolkit, "masscan-udp": probe.NoTool,
	}
	seen := map[string]int{}
	for line := range strings.Lines(string(text)) {
		name, bytes, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "#" {
			continue
		}
		raw, err := hex.DecodeString(bytes)
		if err != nil {
			t.Fatal(err)
		}
		var p packet.Packet
		packet.Decode(raw, &p)
		sent, ok := p.Probe(probe.Advanced, 1, 0)
		if !ok {
			t.Fatalf("%s: no probe", line)
		}
		if sent.Technique.Backscatter() {
			continue // what a scanner's own host sends, unasked, when it gets an answer
		}
		seen[name]++
		if got := probe.ToolOf(&sent); got != want[name] {
			t.Errorf("%s: taken for %s, want %s: %+v", name, got.Describe(), want[name].Describe(), sent)
		}
	}
	for name := range want {
		if seen[name] < 3 {
			t.Errorf("%s: %d packets", name, seen[name])
		}
	}
}

// TestToolMarks names what could not be run here by its sources.
func TestToolMarks(t *testing.T) {
	syn := func(change func(*probe.Probe)) probe.Probe {
		p := probe.Probe{
			Source: netip.MustParseAddr("198.51.100.7"), Destination: netip.MustParseAddr("192.0.2.2"),
			SourcePort: 40000, Port: 23,
			Protocol: probe.ProtocolTCP, Technique: probe.SYN, Flags: probe.FlagSYN, Seq: 0x12345678,
			ID: 4711, TTL: 50,
		}
		change(&p)
		return p
	}
	for _, x := range []struct {
		name string
		p    probe.Probe
		want probe.Tool
	}{
		{"Mirai, sequence number = destination", syn(func(p *probe.Probe) {
			p.Seq, p.Window = 0xc0000202,
				23456
		}), probe.Mirai},
		{"masscan since 2023, with an MSS", syn(func(p *probe.Probe) {
			p.Seq, p.Window, p.TTL, p.Options, p.MSS = 0x11112222, 1024, 240, 0x02<<56, 1460
			p.ID = uint16((0xc0000202 ^ 23 ^ 0x11112222) & 0xffff)
		}), probe.Masscan},
		{"zmap since 4.1.1, any ID, options of Windows", syn(func(p *probe.Probe) {
			p.Window, p.TTL,
				p.Options, p.MSS = 65535, 245, 0x020103010104<<16, 1460
		}), probe.ZMap},
		{"unicornscan's default", syn(func(p *probe.Probe) {
			p.Window, p.TTL, p.Options, p.MSS = 4128, 246,
				0x02<<56, 1460
		}), probe.Unicornscan},
		{"Windows 10", syn(func(p *probe.Probe) {
			p.Window, p.TTL, p.Options, p.MSS, p.DontFrag = 64240, 116, 0x020103010104<<16, 1460, true
		}), probe.Windows},
		{"macOS", syn(func(p *probe.Probe) {
			p.Window, p.TTL, p.Options, p.MSS, p.DontFrag = 65535, 54, 0x0201030101080400, 1460, true
		}), probe.BSD},
		{"FreeBSD", syn(func(p *probe.Probe) {
			p.Window, p.TTL, p.Options, p.MSS, p.DontFrag = 65535, 54, 0x0201030408<<24, 1460, true
		}), probe.BSD},
		{"a small device with a small window", syn(func(p *probe.Probe) {
			p.Window, p.TTL, p.Options,
				p.MSS = 1024, 120, 0x02<<56, 536
		}), probe.NoTool},
		{"a datagram", syn(func(p *probe.Probe) {
			p.Protocol, p.Technique, p.Window = probe.ProtocolUDP,
				probe.UDP, 1024
		}), probe.NoTool},
	} {
		if got := probe.ToolOf(&x.p); got != x.want {
			t.Errorf("%s: taken for %s, want %s", x.name, got.Describe(), x.want.Describe())
		}
	}
}
