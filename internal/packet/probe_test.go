// SPDX-License-Identifier: MIT

package packet

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"picket/engine"
)

// TestProbeSamples names what each tool's packet is, and what it was aimed at.
func TestProbeSamples(t *testing.T) {
	want := map[string]struct {
		technique engine.Technique
		port      uint16
	}{
		"nmap -sS":                      {engine.SYN, 23},
		"nmap -6 -sS":                   {engine.SYN, 22},
		"the RST+ACK of a closed port":  {engine.RST, 33850},
		"a SYN+ACK of Linux 6.18":       {engine.SYNACK, 52674},
		"nmap -sF":                      {engine.FIN, 21},
		"nmap -sN":                      {engine.Null, 25},
		"nmap -6 -sX":                   {engine.Xmas, 22},
		"nmap -sM":                      {engine.Maimon, 25},
		"nmap -sA":                      {engine.ACK, 21},
		"nmap -sU --data-string picket": {engine.UDP, 52},
		"port unreachable":              {engine.ICMPError, 0x0303},
		"port unreachable over IPv6":    {engine.ICMPError, 0x0104},
		"nmap -sS -f, first fragment":   {engine.Fragment, 21},
		"nmap -sS -f, second fragment":  {engine.Fragment, 0},
		"3000 bytes of UDP over IPv6, first fragment, snaplen 128": {engine.UDP, 54},
		"nmap -sY":                     {engine.SCTPInit, 22},
		"nmap -6 -sY":                  {engine.SCTPInit, 21},
		"nmap -sZ":                     {engine.SCTPCookieEcho, 20},
		"ping":                         {engine.ICMP, 0x0800},
		"its reply":                    {engine.ICMPError, 0},
		"ping over IPv6":               {engine.ICMP, 0x8000},
		"nmap -PP":                     {engine.ICMP, 13 << 8},
		"nmap -PM":                     {engine.ICMP, 17 << 8},
		"nmap -sO, protocol 89":        {engine.IPProto, 89},
		"nmap -6 -sO, protocol 47":     {engine.IPProto, 47},
		"nmap -sO, protocol 2":         {engine.IPProto, 2},
		"traceroute over IPv6":         {engine.UDP, 33434},
		"second fragment, snaplen 128": {engine.Fragment, 0},
	}
	for _, s := range samples {
		w, ok := want[s.name]
		if !ok {
			continue
		}
		delete(want, s.name)
		var p Packet
		Decode(unhex(t, s.hex), &p)
		got, ok := p.Probe(engine.Advanced, 1, 2)
		if !ok || got.Technique != w.technique || got.Port != w.port {
			t.Errorf("%s: got %v port %#x %t, want %v port %#x", s.name, got.Technique, got.Port, ok, w.technique, w.port)
		}
	}
	for name := range want {
		t.Errorf("no sample is called %q", name)
	}
}

// TestProbeFields holds every field of two probes.
func TestProbeFields(t *testing.T) {
	var p Packet
	Decode(ip4(6, append(syn()[:12:12], 0x60, engine.FlagSYN, 4, 0, 0, 0, 0, 0, 2, 4, 5, 0xb4)...), &p)
	got, _ := p.Probe(engine.Stealth, 77, 3)
	want := engine.Probe{
		At: 77, Source: p.Source, Destination: p.Destination, SourcePort: 1234, Port: 23, Protocol: 6,
		Mode: engine.Stealth, Technique: engine.SYN, Flags: engine.FlagSYN, TTL: 64, DontFrag: true, ID: 0x1234,
		Window: 1024, MSS: 1460, Options: 2 << 56, Seq: 7, Length: 44, Interface: 3,
	}
	if d := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); d != "" {
		t.Errorf("TCP (-want +got):\n%s", d)
	}
	Decode(ip6(132, 0, 7, 0, 9, 0, 0, 0, 5, 0, 0, 0, 0, 10, 0, 0, 4), &p)
	got, _ = p.Probe(engine.Classic, 78, 0)
	want = engine.Probe{
		At: 78, Source: p.Source, Destination: p.Destination, SourcePort: 7, Port: 9, Protocol: 132,
		Mode: engine.Classic, Technique: engine.SCTPCookieEcho, TTL: 64, Seq: 5, Length: 56,
	}
	if d := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); d != "" {
		t.Errorf("SCTP (-want +got):\n%s", d)
	}
}

// TestProbeOfCuts says from which byte on a SYN is a probe, and which.
func TestProbeOfCuts(t *testing.T) {
	b := ip4(6, syn()...)
	for n := range len(b) + 1 {
		want, wantOK := engine.Unknown, n >= 24
		if n >= 34 {
			want = engine.SYN
		}
		var p Packet
		Decode(b[:n], &p)
		if got, ok := p.Probe(engine.Stealth, 1, 0); ok != wantOK || got.Technique != want {
			t.Errorf("%d bytes: got %v %t, want %v %t", n, got.Technique, ok, want, wantOK)
		}
	}
}
