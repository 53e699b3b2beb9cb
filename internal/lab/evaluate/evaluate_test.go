// SPDX-License-Identifier: MIT

package main

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// built returns a packet that gopacket made, checksums and all.
func built(t *testing.T, all ...gopacket.SerializableLayer) []byte {
	t.Helper()
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		all...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func ip4(src, dst netip.Addr, protocol layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{Version: 4, TTL: 64, Id: 7, Protocol: protocol, SrcIP: src.AsSlice(),
		DstIP: dst.AsSlice()}
}

func ip6(src, dst netip.Addr, protocol layers.IPProtocol) *layers.IPv6 {
	return &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: protocol, SrcIP: src.AsSlice(),
		DstIP: dst.AsSlice()}
}

// A copy has other addresses, ports and sequence numbers, the same payload, and checksums that
// gopacket accepts.
func TestRewriteKeepsChecksums(t *testing.T) {
	server4, server6 := netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("2001:db8::2")
	payload := gopacket.Payload("some payload, of odd length")
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		c := newCopier(int(seed), r, time.Unix(1e9, 0))
		port := uint16(32768 + r.IntN(32768))
		for name, make := range map[string]func() []byte{
			"IPv4 TCP to the server": func() []byte {
				ip := ip4(innocent4(3), server4, layers.IPProtocolTCP)
				tcp := &layers.TCP{SrcPort: layers.TCPPort(port), DstPort: 443, Seq: r.Uint32(),
					Ack: r.Uint32(), ACK: true}
				tcp.SetNetworkLayerForChecksum(ip)
				return built(t, ip, tcp, payload)
			},
			"IPv4 UDP from the server": func() []byte {
				ip := ip4(server4, innocent4(3), layers.IPProtocolUDP)
				udp := &layers.UDP{SrcPort: 53, DstPort: layers.UDPPort(port)}
				udp.SetNetworkLayerForChecksum(ip)
				return built(t, ip, udp, payload)
			},
			"IPv6 TCP from the server": func() []byte {
				ip := ip6(server6, innocent6(3), layers.IPProtocolTCP)
				tcp := &layers.TCP{SrcPort: 25, DstPort: layers.TCPPort(port), Seq: r.Uint32(), SYN: true}
				tcp.SetNetworkLayerForChecksum(ip)
				return built(t, ip, tcp, payload)
			},
			"IPv4 UDP of a neighbour": func() []byte {
				ip := ip4(neighbour4(3), server4, layers.IPProtocolUDP)
				udp := &layers.UDP{SrcPort: 1900, DstPort: layers.UDPPort(port)}
				udp.SetNetworkLayerForChecksum(ip)
				return built(t, ip, udp, payload)
			},
			"IPv6 UDP of a neighbour": func() []byte {
				ip := ip6(neighbour6(3), server6, layers.IPProtocolUDP)
				udp := &layers.UDP{SrcPort: 5353, DstPort: layers.UDPPort(port)}
				udp.SetNetworkLayerForChecksum(ip)
				return built(t, ip, udp, payload)
			},
			"IPv6 echo request": func() []byte {
				ip := ip6(innocent6(3), server6, layers.IPProtocolICMPv6)
				icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(128, 0)}
				icmp.SetNetworkLayerForChecksum(ip)
				return built(t, ip, icmp, payload)
			},
		} {
			before := make()
			after := append([]byte(nil), before...)
			c.rewrite(after)
			first := layers.LayerTypeIPv4
			if after[0]>>4 == 6 {
				first = layers.LayerTypeIPv6
			}
			p := gopacket.NewPacket(after, first, gopacket.Default)
			for _, l := range p.Layers() {
				if l, ok := l.(interface {
					SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
				}); ok {
					l.SetNetworkLayerForChecksum(p.NetworkLayer())
				}
			}
			errs, faults := p.VerifyChecksums()
			if errs != nil || len(faults) > 0 {
				t.Errorf("%s, seed %d: %v %v", name, seed, errs, faults)
			}
			src, dst := ends(after)
			if n, ok := original(src); !ok {
				n, ok = original(dst)
				if !ok || n != 3 {
					t.Errorf("%s, seed %d: from %s to %s is nobody's copy", name, seed, src, dst)
				}
			} else if n != 3 {
				t.Errorf("%s, seed %d: a copy of innocent %d, want 3", name, seed, n)
			}
			near := strings.Contains(name, "neighbour")
			if beside := src.IsPrivate() || netip.PrefixFrom(server6, 64).Contains(src); near && !beside {
				t.Errorf("%s, seed %d: from %s, which is no neighbour's", name, seed, src)
			}
			if !strings.HasSuffix(string(after), string(payload)) || len(after) != len(before) {
				t.Errorf("%s, seed %d: the payload changed", name, seed)
			}
		}
	}
}

// The packet in an ICMP error changes as the packet itself does.
func TestRewriteQuotedPacket(t *testing.T) {
	c := newCopier(5, rand.New(rand.NewPCG(1, 1)), time.Unix(1e9, 0))
	server := netip.MustParseAddr("192.0.2.2")
	udp := &layers.UDP{SrcPort: 40000, DstPort: 33434}
	ip := ip4(innocent4(9), server, layers.IPProtocolUDP)
	udp.SetNetworkLayerForChecksum(ip)
	asked := built(t, ip, udp)
	refused := built(t, ip4(server, innocent4(9), layers.IPProtocolICMPv4),
		&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 3)}, gopacket.Payload(asked))
	c.rewrite(asked)
	c.rewrite(refused)
	if diff := cmp.Diff(asked, refused[28:]); diff != "" {
		t.Errorf("the quoted packet is not the one that was sent (-sent +quoted):\n%s", diff)
	}
}

func TestFields(t *testing.T) {
	got := fields(`event=block source=192.0.2.9 pattern=portscan tool="" reason="above the \"trigger\" ` +
		`port=1" probes=11`)
	want := map[string]string{"event": "block", "source": "192.0.2.9", "pattern": "portscan", "tool": "",
		"reason": `above the "trigger" port=1`, "probes": "11"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Lines as the peers print them.
func TestPeersLines(t *testing.T) {
	for _, test := range []struct{ name, line, source string }{
		{"portsentry", "<37>Nov 23 02:00:00 portsentry[9]: attackalert: TCP SYN/Normal scan from host: " +
			"198.51.100.1/198.51.100.1 to TCP port: 11", "198.51.100.1"},
		{"portsentry",
			`<37>Nov 23 02:00:00 portsentry[9]: attackalert: Host 198.51.100.1 has been blocked via ` +
				`dropped route using command: "/bin/true 198.51.100.1"`, "198.51.100.1"},
		{"scanlogd", "<29>Nov 23 02:00:00 scanlogd: 198.51.100.1:60000 to 192.0.2.2 ports 1, 2, 3, ..., " +
			"fSrpauxy, TOS 00 @02:00:00", "198.51.100.1"},
		{"scanlogd", "<29>Nov 23 02:00:00 scanlogd: 198.51.100.1 to 192.0.2.2 ports 1, 2, 3, ..., " +
			"fSrpauxy, TOS 00 @02:00:00", "198.51.100.1"},
		{"psad", "<190>Nov 23 02:54:43 psad: scan detected (Nmap -sT or -sS scan): 198.51.100.1 -> " +
			"192.0.2.2 tcp: [1-100] flags: SYN tcp pkts: 97 DL: 2 total scan dsts: 1", "198.51.100.1"},
		{"psad", "<190>Nov 23 02:54:58 psad: scan detected 198.51.100.9 -> 192.0.2.2 DL: 2 total scan " +
			"dsts: 1", "198.51.100.9"},
		{"psad", "<190>Nov 23 02:56:39 psad: scan detected (Nmap -sT or -sS scan): " +
			"2001:0db8:000a:0014:0000:0000:0000:0001 -> 2001:0db8:0000:0000:0000:0000:0000:0002 tcp: [1-100]",
			"2001:db8:a:14::1"},
		{"fail2ban", "2026-11-23 02:00:00,000 fail2ban.actions [9]: NOTICE  [scan] Ban 198.51.100.1",
			"198.51.100.1"},
		{"fail2ban", "2026-11-23 02:00:00,000 fail2ban.filter [9]: INFO    [scan] Found 198.51.100.1 - " +
			"2026-11-23 02:00:00", ""},
		{"psad", "<190>Nov 23 02:50:59 psad: starting up psad version 2.4.6", ""},
	} {
		made, ok := toolNamed(test.name, "", "")
		if !ok {
			t.Fatalf("no tool %q", test.name)
		}
		stampedLines := strings.NewReader(test.line + "\n")
		var said *stamped
		switch p := made.(type) {
		case *portsentry:
			said = &p.said
		case *scanlogd:
			said = &p.said
		case *psad:
			said = &p.said
		case *fail2ban:
			said = &p.said
		}
		if _, err := stampedLines.WriteTo(said); err != nil {
			t.Fatal(err)
		}
		all, err := made.sightings()
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if len(all) > 0 {
			got = all[0].source.Addr().String()
		}
		if got != test.source {
			t.Errorf("%s: %q in %q, want %q", test.name, got, test.line, test.source)
		}
	}
}

// Log lines are the kernel's: net/netfilter/nf_log_syslog.c.
func TestLogLine(t *testing.T) {
	at := time.Date(2026, 11, 3, 4, 5, 6, 7000, time.UTC)
	ip := ip4(scanner4(1), netip.MustParseAddr("192.0.2.2"), layers.IPProtocolTCP)
	tcp := &layers.TCP{SrcPort: 4000, DstPort: 21, SYN: true, Window: 1024,
		Options: []layers.TCPOption{{OptionType: 2, OptionLength: 4, OptionData: []byte{5, 0xb4}}}}
	tcp.SetNetworkLayerForChecksum(ip)
	got := logLine(at, "DROP ", built(t, ip, tcp))
	const want = "Nov  3 04:05:06 server kernel: [678706.000007] DROP IN=eth0 OUT= " +
		"MAC=02:00:00:00:00:02:02:00:00:00:00:01:08:00 " +
		"SRC=198.19.1.1 DST=192.0.2.2 LEN=44 TOS=0x00 PREC=0x00 TTL=64 ID=7 PROTO=TCP SPT=4000 DPT=21 " +
		"WINDOW=1024 RES=0x00 SYN URGP=0 OPT (020405B4) \n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	ip6 := ip6(scanner6(1), netip.MustParseAddr("2001:db8::2"), 99)
	if got := logLine(at, "", built(t, ip6)); !strings.Contains(got,
		"SRC=2001:0db8:000a:0100:0000:0000:0000:0001 ") || !strings.HasSuffix(got,
		"HOPLIMIT=64 FLOWLBL=0 PROTO=99 \n") {
		t.Errorf("got %q", got)
	}
	for n := range 60 { // cut anywhere
		logLine(at, "", built(t, ip, tcp)[:min(n, 44)])
		logLine(at, "", built(t, ip6)[:min(n, 40)])
	}
}

// As many copies come out as were asked for, sorted by time, with the packets of every scene.
func TestMultiply(t *testing.T) {
	var life []captured
	for n := 1; n <= 4; n++ {
		ip := ip4(innocent4(n), netip.MustParseAddr("192.0.2.2"), layers.IPProtocolTCP)
		tcp := &layers.TCP{SrcPort: 40000, DstPort: 443, Seq: 1, SYN: true}
		tcp.SetNetworkLayerForChecksum(ip)
		frame := append(binary.BigEndian.AppendUint16(make([]byte, 12), 0x0800), built(t, ip, tcp)...)
		life = append(life, captured{time.Unix(int64(n), 0), len(frame), frame})
	}
	name := filepath.Join(t.TempDir(), "life.pcap")
	n, err := multiply(life, 10, name)
	if err != nil || n != 40 {
		t.Fatalf("%d packets, %v, want 40", n, err)
	}
	all, err := readCapture(name)
	if err != nil {
		t.Fatal(err)
	}
	sources := map[netip.Addr]bool{}
	for i, c := range all {
		src, _ := ends(ipOf(c.frame))
		sources[src] = true
		if i > 0 && c.at.Before(all[i-1].at) {
			t.Errorf("packet %d is older than the one before", i)
		}
	}
	if len(all) != 40 || len(sources) != 40 {
		t.Errorf("%d packets of %d sources, want 40 of 40", len(all), len(sources))
	}
}

func TestRenew(t *testing.T) {
	name := filepath.Join(t.TempDir(), "README.md")
	r := &report{began: time.Unix(0, 0), command: "make evaluate", results: map[string]*result{}}
	if err := os.WriteFile(name, []byte("before\n"+tableBegins+"\nold\n"+tableEnds+"\nafter\n"),
		0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a second time changes nothing
		if err := r.renew(name); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	got := string(b)
	if strings.Contains(got, "old") || !strings.HasPrefix(got, "before\n") ||
		!strings.HasSuffix(got, tableEnds+"\nafter\n") || strings.Count(got, "| scan |") != 1 {
		t.Errorf("got\n%s", got)
	}
	if err := os.WriteFile(name, []byte("no markers"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := r.renew(name); err == nil {
		t.Error("a file without markers was renewed")
	}
}

// The report's verdict names each error, and is empty without one.
func TestVerdict(t *testing.T) {
	good := func() *report {
		f := &finding{run: &scanRun{scan: scans()[0], family: "4"}, told: true, right: true}
		return &report{
			life: &lifeResult{packets: wantPackets, blocked: map[string]int{}},
			results: map[string]*result{"picket": {
				scans: map[string]*finding{"x": f}, blocked: map[string]bool{},
				flood: &flood{named: true, found: true}}},
		}
	}
	if err := good().verdict(); err != nil {
		t.Errorf("nothing is wrong: %v", err)
	}
	for want, spoil := range map[string]func(r *report){
		"blocked an innocent, live: NTP": func(r *report) { r.results["picket"].blocked["NTP"] = true },
		"in capture time: NTP, 3 times":  func(r *report) { r.life.blocked["NTP"] = 3 },
		"only 5 packets":                 func(r *report) { r.life.packets = 5 },
		"missed nmap -sS":                func(r *report) { r.results["picket"].scans["x"].told = false },
		"misnamed nmap -sS":              func(r *report) { r.results["picket"].scans["x"].right = false },
		"blocked the gateway IPv4": func(r *report) {
			r.results["picket"].forged = []string{"gateway IPv4"}
		},
		"1000 blocks":                  func(r *report) { r.results["picket"].flood.blocks = 1000 },
		"the scanner in it was missed": func(r *report) { r.results["picket"].flood.found = false },
	} {
		r := good()
		spoil(r)
		if err := r.verdict(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
