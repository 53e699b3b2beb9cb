// SPDX-License-Identifier: MIT

package engine_test

import (
	"encoding/hex"
	"net/netip"
	"os"
	"strings"
	"testing"

	"picket/engine"
	"picket/internal/packet"
)

// TestTools names the packets of real tools by each of them alone.
func TestTools(t *testing.T) {
	text, err := os.ReadFile("testdata/tools.txt")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]engine.Tool{
		"nmap-sS": engine.Nmap, "nmap-sF": engine.Nmap, "nmap-sX": engine.Nmap, "nmap-sA": engine.Nmap, "nmap-6": engine.Nmap,
		"nmap-D": engine.Nmap, "nmap-sT": engine.Linux, "nping": engine.Nping,
		"masscan": engine.Masscan, "masscan6": engine.Masscan, "zmap": engine.ZMap, "hping": engine.Hping,
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
		probe, ok := p.Probe(engine.Advanced, 1, 0)
		if !ok {
			t.Fatalf("%s: no probe", line)
		}
		if probe.Technique.Backscatter() {
			continue // what a scanner's own host sends, unasked, when it gets an answer
		}
		seen[name]++
		if got := engine.ToolOf(&probe); got != want[name] {
			t.Errorf("%s: taken for %s, want %s: %+v", name, got.Describe(), want[name].Describe(), probe)
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
	syn := func(change func(*engine.Probe)) engine.Probe {
		p := engine.Probe{
			Source: netip.MustParseAddr("198.51.100.7"), Destination: netip.MustParseAddr("192.0.2.2"), SourcePort: 40000, Port: 23,
			Protocol: engine.ProtocolTCP, Technique: engine.SYN, Flags: engine.FlagSYN, Seq: 0x12345678, ID: 4711, TTL: 50,
		}
		change(&p)
		return p
	}
	for _, x := range []struct {
		name string
		p    engine.Probe
		want engine.Tool
	}{
		{"Mirai, sequence number = destination", syn(func(p *engine.Probe) { p.Seq, p.Window = 0xc0000202, 23456 }), engine.Mirai},
		{"masscan since 2023, with an MSS", syn(func(p *engine.Probe) {
			p.Seq, p.Window, p.TTL, p.Options, p.MSS = 0x11112222, 1024, 240, 0x02<<56, 1460
			p.ID = uint16((0xc0000202 ^ 23 ^ 0x11112222) & 0xffff)
		}), engine.Masscan},
		{"zmap since 4.1.1, any ID, options of Windows", syn(func(p *engine.Probe) { p.Window, p.TTL, p.Options, p.MSS = 65535, 245, 0x020103010104<<16, 1460 }), engine.ZMap},
		{"unicornscan's default", syn(func(p *engine.Probe) { p.Window, p.TTL, p.Options, p.MSS = 4128, 246, 0x02<<56, 1460 }), engine.Unicornscan},
		{"Windows 10", syn(func(p *engine.Probe) {
			p.Window, p.TTL, p.Options, p.MSS, p.DontFrag = 64240, 116, 0x020103010104<<16, 1460, true
		}), engine.Windows},
		{"macOS", syn(func(p *engine.Probe) {
			p.Window, p.TTL, p.Options, p.MSS, p.DontFrag = 65535, 54, 0x0201030101080400, 1460, true
		}), engine.BSD},
		{"FreeBSD", syn(func(p *engine.Probe) {
			p.Window, p.TTL, p.Options, p.MSS, p.DontFrag = 65535, 54, 0x0201030408<<24, 1460, true
		}), engine.BSD},
		{"a small device with a small window", syn(func(p *engine.Probe) { p.Window, p.TTL, p.Options, p.MSS = 1024, 120, 0x02<<56, 536 }), engine.NoTool},
		{"a datagram", syn(func(p *engine.Probe) { p.Protocol, p.Technique, p.Window = engine.ProtocolUDP, engine.UDP, 1024 }), engine.NoTool},
	} {
		if got := engine.ToolOf(&x.p); got != x.want {
			t.Errorf("%s: taken for %s, want %s", x.name, got.Describe(), x.want.Describe())
		}
	}
}
