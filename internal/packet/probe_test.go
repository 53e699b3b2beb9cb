// SPDX-License-Identifier: MIT

package packet

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"picket/internal/probe"
)

// TestProbeSamples names what each tool's packet is, and what it was aimed at.
func TestProbeSamples(t *testing.T) {
	want := map[string]struct {
		technique probe.Technique
		port      uint16
	}{
		"nmap -sS":                      {probe.SYN, 23},
		"nmap -6 -sS":                   {probe.SYN, 22},
		"the RST+ACK of a closed port":  {probe.RST, 33850},
		"a SYN+ACK of Linux 6.18":       {probe.SYNACK, 52674},
		"nmap -sF":                      {probe.FIN, 21},
		"nmap -sN":                      {probe.Null, 25},
		"nmap -6 -sX":                   {probe.Xmas, 22},
		"nmap -sM":                      {probe.Maimon, 25},
		"nmap -sA":                      {probe.ACK, 21},
		"nmap -sU --data-string picket": {probe.UDP, 52},
		"port unreachable":              {probe.ICMPError, 0x0303},
		"port unreachable over IPv6":    {probe.ICMPError, 0x0104},
		"nmap -sS -f, first fragment":   {probe.Fragment, 21},
		"nmap -sS -f, second fragment":  {probe.Fragment, 0},
		"3000 bytes of UDP over IPv6, first fragment, snaplen 128": {probe.UDP, 54},
		"nmap -sY":                     {probe.SCTPInit, 22},
		"nmap -6 -sY":                  {probe.SCTPInit, 21},
		"nmap -sZ":                     {probe.SCTPCookieEcho, 20},
		"ping":                         {probe.ICMP, 0x0800},
		"its reply":                    {probe.ICMPError, 0},
		"ping over IPv6":               {probe.ICMP, 0x8000},
		"nmap -PP":                     {probe.ICMP, 13 << 8},
		"nmap -PM":                     {probe.ICMP, 17 << 8},
		"nmap -sO, protocol 89":        {probe.IPProto, 89},
		"nmap -6 -sO, protocol 47":     {probe.IPProto, 47},
		"nmap -sO, protocol 2":         {probe.IPProto, 2},
		"traceroute over IPv6":         {probe.UDP, 33434},
		"second fragment, snaplen 128": {probe.Fragment, 0},
	}
	for _, s := range samples {
		w, ok := want[s.name]
		if !ok {
			continue
		}
		delete(want, s.name)
		var p Packet
		Decode(unhex(t, s.hex), &p)
		got, ok := p.Probe(probe.Advanced, 1, 2)
		if !ok || got.Technique != w.technique || got.Port != w.port {
			t.Errorf("%s: got %v port %#x %t, want %v port %#x", s.name, got.Technique, got.Port, ok,
				w.technique, w.port)
		}
	}
	for name := range want {
		t.Errorf("no sample is called %q", name)
	}
}

// TestProbeFields holds every field of two probes.
func TestProbeFields(t *testing.T) {
	var p Packet
	Decode(ip4(6, append(syn()[:12:12], 0x60, probe.FlagSYN, 4, 0, 0, 0, 0, 0, 2, 4, 5, 0xb4)...), &p)
	got, _ := p.Probe(probe.Stealth, 77, 3)
	want := probe.Probe{
		At: 77, Source: p.Source, Destination: p.Destination, SourcePort: 1234, Port: 23, Protocol: 6,
		Mode: probe.Stealth, Technique: probe.SYN, Flags: probe.FlagSYN, TTL: 64, DontFrag: true, ID: 0x1234,
		Window: 1024, MSS: 1460, Options: 2 << 56, Seq: 7, Length: 44, Interface: 3,
	}
	if d := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); d != "" {
		t.Errorf("TCP (-want +got):\n%s", d)
	}
	Decode(ip6(132, 0, 7, 0, 9, 0, 0, 0, 5, 0, 0, 0, 0, 10, 0, 0, 4), &p)
	got, _ = p.Probe(probe.Classic, 78, 0)
	want = probe.Probe{
		At: 78, Source: p.Source, Destination: p.Destination, SourcePort: 7, Port: 9, Protocol: 132,
		Mode: probe.Classic, Technique: probe.SCTPCookieEcho, TTL: 64, Seq: 5, Length: 56,
	}
	if d := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); d != "" {
		t.Errorf("SCTP (-want +got):\n%s", d)
	}
}

// TestProbeOfCuts says from which byte on a SYN is a probe, and which.
func TestProbeOfCuts(t *testing.T) {
	b := ip4(6, syn()...)
	for n := range len(b) + 1 {
		want, wantOK := probe.Unknown, n >= 24
		if n >= 34 {
			want = probe.SYN
		}
		var p Packet
		Decode(b[:n], &p)
		if got, ok := p.Probe(probe.Stealth, 1, 0); ok != wantOK || got.Technique != want {
			t.Errorf("%d bytes: got %v %t, want %v %t", n, got.Technique, ok, want, wantOK)
		}
	}
}
