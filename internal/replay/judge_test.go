// SPDX-License-Identifier: MIT

package replay

import (
	"context"
	"encoding/binary"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"picket/internal/probe"
)

const (
	us   = "192.0.2.1"
	them = "198.51.100.7"
	fin  = probe.FlagFIN
	syn  = probe.FlagSYN
	rst  = probe.FlagRST
	psh  = probe.FlagPSH
	ack  = probe.FlagACK
)

// TestConversations says what each packet of a made-up conversation is, with
// 192.0.2.0/24 watched, udp/123 declared open and ports above 1023 unmonitored.
func TestConversations(t *testing.T) {
	rules := Rules{
		Local: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/64")},
		Open:  func(protocol uint8, port uint16) bool { return protocol == 17 && port == 123 },
		Mode: func(protocol uint8, port uint16) probe.Mode {
			if (protocol == 6 || protocol == 17) && port > 1023 {
				return 0
			}
			return probe.Advanced
		},
	}
	const day = 24 * 3600 * 1000
	query := udp(us, "198.51.100.53", 40000, 53)
	tests := []struct {
		name string
		want string
		list []sent
	}{
		{"a scan that never ends", "advanced syn 23, own, advanced syn 23, own", []sent{
			{0, tcp(them, us, 5, 23, syn)}, {1, tcp(us, them, 23, 5, rst|ack)},
			{2, tcp(them, us, 5, 23, syn)}, {3, tcp(us, them, 23, 5, rst|ack)}}},
		{"a connection to a service", "open, own, established, established, own, established", []sent{
			{0, tcp(them, us, 5, 25, syn)}, {1, tcp(us, them, 25, 5, syn|ack)},
			{2, tcp(them, us, 5, 25, ack)},
			{3, tcp(them, us, 5, 25, fin|ack)}, {4, tcp(us, them, 25, 5, fin|ack)},
			{5, tcp(them, us, 5, 25, ack)}}},
		{"a scan of a service from elsewhere", "open, own, open", []sent{
			{0, tcp(them, us, 5, 25, syn)}, {1, tcp(us, them, 25, 5, syn|ack)},
			{2, tcp("203.0.113.9", us, 5, 25, fin)}}},
		{"the service answers only later", "open, open, own", []sent{
			{0, tcp("203.0.113.9", us, 5, 25, fin)}, {1, tcp(them, us, 5, 25, syn)},
			{2, tcp(us, them, 25, 5, syn|ack)}}},
		{"a service elsewhere opens no port here", "own, answer, advanced syn 25", []sent{
			{0, tcp(us, them, 5, 25, syn)}, {1, tcp(them, us, 25, 5, syn|ack)},
			{2, tcp(them, us, 9, 25, syn)}}},
		{"a connection older than the capture", "established, own, established, own", []sent{
			{0, tcp(them, us, 443, 700, ack|psh)}, {1, tcp(us, them, 700, 443, ack)},
			{2, tcp(them, us, 443, 700, ack)}, {3, tcp(us, them, 700, 443, ack)}}},
		{"an ACK scan is no older connection", "advanced ack 700, own, advanced ack 700", []sent{
			{0, tcp(them, us, 443, 700, ack)}, {1, tcp(us, them, 700, 443, rst)},
			{2, tcp(them, us, 443, 700, ack)}}},
		{"a connection idle for four days", "open, own, established, established", []sent{
			{0, tcp(them, us, 5, 25, syn)}, {1, tcp(us, them, 25, 5, syn|ack)},
			{2, tcp(them, us, 5, 25, ack)}, {4 * day, tcp(them, us, 5, 25, ack)}}},
		{"a port used again after a reset", "open, own, established, open", []sent{
			{0, tcp(them, us, 5, 25, syn)}, {1, tcp(us, them, 25, 5, syn|ack)},
			{2, tcp(them, us, 5, 25, rst)}, {3, tcp(them, us, 5, 25, syn)}}},
		{"backscatter", "advanced syn-ack 80, own, advanced rst 81, advanced icmp-error 771", []sent{
			{0, tcp(them, us, 80, 80, syn|ack)}, {1, tcp(us, them, 80, 80, rst)},
			{2, tcp(them, us, 80, 81, rst|ack)},
			{3, icmp(them, us, 3, 3, udp(us, them, 9, 9)...)}}},
		{"backscatter to high ports", "unmonitored, unmonitored",
			[]sent{{0, tcp(them, us, 80, 50000, syn|ack)}, {2, tcp(them, us, 80, 50001, rst)}}},
		{"a query and what comes of it", "own, answer, own, related", []sent{
			{0, query}, {90_000, udp("198.51.100.53", us, 53, 40000)},
			{90_001, udp(us, "198.51.100.53", 40001, 53)},
			{90_002, icmp(them, us, 3, 1, udp(us, "198.51.100.53", 40001, 53)...)}}},
		{"an answer after two minutes", "own, late", []sent{{0, query},
			{121_000, udp("198.51.100.53", us, 53, 40000)}}},
		{"declared open", "open, advanced udp 124", []sent{{0, udp(them, us, 5, 123)},
			{1, udp(them, us, 5, 124)}}},
		{"pings", "echo, own, own, answer, housekeeping", []sent{
			{0, icmp(them, us, 8, 0)}, {1, icmp(us, them, 0, 0)}, {40_000, icmp(us, them, 8, 0)},
			{40_001, icmp(them, us, 0, 0)}, {90_000, icmp(them, us, 0, 0)}}},
		{"requests that only scanners send", "advanced icmp 3328, advanced icmp 3840, advanced icmp 4352, " +
			"advanced icmp 35584", []sent{
			{0, icmp(them, us, 13, 0)}, {1, icmp(them, us, 15, 0)}, {2, icmp(them, us, 17, 0)},
			{3, icmp("2001:db8:1::7", "2001:db8::1", 139, 0)}}},
		{"neighbour discovery and its kin", "housekeeping, housekeeping, housekeeping, echo", []sent{
			{0, icmp("2001:db8::2", "2001:db8::1", 135, 0)}, {1, icmp("2001:db8::2", "2001:db8::1", 2, 0)},
			{2, icmp(them, us, 5, 1)}, {3, icmp("2001:db8::2", "2001:db8::1", 128, 0)}}},
		{"to many", "broadcast, broadcast, broadcast, broadcast", []sent{
			{0, udp(them, "192.0.2.255", 137, 137)}, {1, udp(them, "255.255.255.255", 68, 67)},
			{2, udp(them, "224.0.0.251", 5353, 5353)}, {3, udp("2001:db8::2", "ff02::fb", 5353, 5353)}}},
		{"of others", "foreign, own, own", []sent{
			{0, tcp(them, "203.0.113.9", 5, 23, syn)}, {1, tcp(us, them, 5, 23, syn)},
			{2, tcp(us, us, 5, 23, syn)}}},
		{"a neighbour of ours", "advanced syn 23", []sent{{0, tcp("192.0.2.9", us, 5, 23, syn)}}},
		{"a protocol nobody speaks", "advanced ip-proto 47", []sent{{0, ip(them, us, 47, []byte{1, 2})}}},
		{"SCTP that answers and SCTP that does not", "open, own, established, advanced sctp-init 8, own, " +
			"advanced sctp-init 8", []sent{
			{0, sctp(them, us, 5, 7, 1)}, {1, sctp(us, them, 7, 5, 2)}, {2, sctp(them, us, 5, 7, 10)},
			{3, sctp(them, us, 5, 8, 1)}, {4, sctp(us, them, 8, 5, 6)}, {5, sctp(them, us, 5, 8, 1)}}},
		{"no packets", "garbage, garbage, cut, cut", []sent{
			{0, []byte{0x45}}, {1, []byte("hello")}, {2, tcp(them, us, 5, 23, syn)[:22]},
			{3, icmp(them, us, 13, 0)[:20]}}},
		{"a clock that steps back", "own, answer, advanced syn 23", []sent{
			{500_000, query}, {0, udp("198.51.100.53", us, 53, 40000)}, {100, tcp(them, us, 5, 23, syn)}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := verdicts(t, rules, Memory(tt.name, pcap(linkRaw, tt.list...)))
			if g := strings.Join(got, ", "); g != tt.want || err != nil {
				t.Errorf("%v\n got %s\nwant %s", err, g, tt.want)
			}
		})
	}
}

// TestTrap says what each packet of a connection to a classic port is. Ports 1
// and 7 are classic ones, 7 is watched in stealth mode too, 1 to 1023 otherwise.
func TestTrap(t *testing.T) {
	rules := Rules{
		Local: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/64")},
		Mode: func(_ uint8, port uint16) probe.Mode {
			switch {
			case port == 7:
				return probe.Stealth
			case port > 1023:
				return 0
			}
			return probe.Advanced
		},
		Trap:        func(port uint16) bool { return port == 1 || port == 7 || port == 5000 },
		Invited:     func(port uint16) bool { return port >= 600 && port <= 1023 },
		TrapAnswers: true,
	}
	const six, other = "2001:db8::1", "2001:db8:ffff::7"
	first := func(port uint16) []byte { return numbered(tcp(them, us, 5, port, syn), 100, 0) }
	second := func(port uint16) []byte { return numbered(tcp(us, them, port, 5, syn|ack), 0xffffffff, 101) }
	third := func(port uint16, flags byte) []byte { return numbered(tcp(them, us, 5, port, flags), 101, 0) }
	declared := func(_ uint8, port uint16) bool { return port == 700 }
	opened := func(_ uint8, port uint16) bool { return port == 1 }
	tests := []struct {
		name             string
		want             string
		asked, connected uint64
		open             func(uint8, uint16) bool
		list             []sent
	}{
		{"a connection", "classic syn 1, own, classic connect 1, own, established, established", 1, 1, nil,
			[]sent{
				{0, first(1)}, {1, second(1)}, {2, third(1, ack)}, {3, tcp(us, them, 1, 5, ack|fin)},
				{4, third(1, ack)}, {5, third(1, ack|fin)}}},
		{"the other way round it is ours", "own, answer, own, answer", 0, 0, nil, []sent{
			{0, tcp(us, them, 5, 1, syn)}, {1, tcp(them, us, 1, 5, syn|ack)},
			{2, numbered(tcp(us, them, 5, 1, ack), 8, 8)}, {3, tcp(them, us, 1, 5, ack)}}},
		{"IPv6, and the ACK bears data", "classic syn 1, own, classic connect 1", 1, 1, nil, []sent{
			{0, tcp(other, six, 5, 1, syn)}, {1, numbered6(tcp(six, other, 1, 5, syn|ack), 41, 0)},
			{2, numbered6(tcp(other, six, 5, 1, ack|psh), 8, 42)}}},
		{"a half-open scan", "classic syn 1, own, established, classic syn 1", 2, 0, nil, []sent{
			{0, first(1)}, {1, second(1)}, {2, third(1, rst)}, {3, first(1)}}},
		{"an ACK of something else", "classic syn 1, own, established, classic connect 1", 1, 1, nil, []sent{
			{0, first(1)}, {1, second(1)}, {2, numbered(tcp(them, us, 5, 1, ack), 101, 77)},
			{3, third(1, ack)}}},
		{"one that is refused", "classic syn 1, own, advanced ack 1", 1, 0, nil,
			[]sent{{0, first(1)}, {1, tcp(us, them, 1, 5, rst|ack)}, {2, third(1, ack)}}},
		{"what was sent to us alone", "classic syn 1, classic syn 1, advanced ack 1", 1, 0, nil,
			[]sent{{0, first(1)}, {9, first(1)}, {10, third(1, ack)}}},
		{"asked again after a refusal", "classic syn 1, own, classic syn 1, own, classic connect 1, " +
			"established", 2, 1, nil, []sent{
			{0, first(1)}, {1, tcp(us, them, 1, 5, rst|ack)}, {2, first(1)}, {3, second(1)},
			{4, third(1, ack)}, {5, third(1, ack)}}},
		{"a port of stealth mode", "stealth syn 7, own, classic connect 7", 1, 1, nil,
			[]sent{{0, first(7)}, {1, second(7)}, {2, third(7, ack)}}},
		{"a port of no other mode", "classic syn 5000, own, classic connect 5000, unmonitored", 1, 1, nil,
			[]sent{
				{0, first(5000)}, {1, second(5000)}, {2, third(5000, ack)},
				{3, tcp("203.0.113.9", us, 5, 5000, fin)}}},
		{"no other scan is of the trap", "advanced fin 1, advanced null 1, stealth ack 7", 0, 0, nil, []sent{
			{0, tcp(them, us, 5, 1, fin)}, {1, tcp(them, us, 6, 1, 0)}, {2, tcp(them, us, 7, 7, ack)}}},
		{"and the trap's answers open no port", "classic syn 1, own, advanced fin 1", 1, 0, nil, []sent{
			{0, first(1)}, {1, second(1)}, {2, tcp("203.0.113.9", us, 5, 1, fin)}}},
		{"a service that is declared", "open, own, established", 0, 0, opened,
			[]sent{{0, first(1)}, {1, second(1)}, {2, third(1, ack)}}},
		{"a service", "open, own, established", 0, 0, nil, []sent{{0, first(25)}, {1, second(25)},
			{2, third(25, ack)}}},
		{"a port from which sources are led to it", "advanced syn 700, own, advanced connect 700", 0, 0, nil,
			[]sent{
				{0, first(700)}, {1, second(700)}, {2, third(700, ack)}}},
		{"a service there that is declared", "open, own, established", 0, 0, declared, []sent{
			{0, first(700)}, {1, second(700)}, {2, third(700, ack)}}},
	}
	t.Run("without a trap to answer it is a service", func(t *testing.T) {
		rules := rules
		rules.TrapAnswers = false
		got, sum, err := verdicts(t, rules, Memory("", pcap(linkRaw, sent{0, first(1)}, sent{1, second(1)},
			sent{2, third(1, ack)}, sent{3, first(7)})))
		if g := strings.Join(got, ", "); g != "open, own, established, stealth syn 7" || err != nil ||
			sum.Asked != 1 || sum.Connected != 0 {
			t.Errorf("%s; %v, %+v", g, err, sum)
		}
	})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rules := rules
			rules.Open = tt.open
			got, sum, err := verdicts(t, rules, Memory(tt.name, pcap(linkRaw, tt.list...)))
			if g := strings.Join(got, ", "); g != tt.want || err != nil || sum.Asked != tt.asked ||
				sum.Connected != tt.connected {
				t.Errorf("%v, %d asked, %d connected\n got %s\nwant %s", err, sum.Asked, sum.Connected, g,
					tt.want)
			}
		})
	}
}

// numbered gives an IPv4 segment its sequence and acknowledgement numbers.
func numbered(b []byte, seq, ack uint32) []byte {
	binary.BigEndian.PutUint32(b[24:], seq)
	binary.BigEndian.PutUint32(b[28:], ack)
	return b
}

func numbered6(b []byte, seq, ack uint32) []byte {
	numbered(b[20:], seq, ack)
	return b
}

// sctp is a packet with one chunk.
func sctp(source, dest string, sport, port uint16, chunk byte) []byte {
	return ip(source, dest, 132, append(ports(sport, port), 0, 0, 0, 1, 0, 0, 0, 0, chunk, 0, 0, 20, 0, 0, 0,
		3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
}

// flood is n SYNs, each from a source of its own, in the middle of a
// connection to port 25 whose client speaks once in a thousand packets.
func flood(n int) []byte {
	list := []sent{{0, tcp(them, us, 5, 25, syn)}, {1, tcp(us, them, 25, 5, syn|ack)},
		{2, tcp(them, us, 5, 25, ack)}}
	b := pcap(linkRaw, list...)
	packet := tcp("203.0.113.0", us, 9, 23, syn)
	for i := range n {
		binary.BigEndian.PutUint32(packet[12:], 0xc6120000+uint32(i))
		b = pcapRecord(b, 1e9+int64(i)*1e4, packet)
		if i%1000 == 999 {
			b = pcapRecord(b, 1e9+int64(i)*1e4, list[2].b)
		}
	}
	return b
}

// TestFlood: a million forged sources neither grow the table nor push a
// living connection out of it.
func TestFlood(t *testing.T) {
	const n = 1_000_000
	b := flood(n)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	sum, err := Run(context.Background(), []Source{Memory("flood", b)}, Rules{}, func(*Record) {})
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 8<<20 {
		t.Errorf("replaying %d sources allocated %d MiB", n, got>>20)
	}
	if sum.Probes() != n || sum.Verdicts[Established] != 1+n/1000 {
		t.Errorf("%d probes and %d of the connection, want %d and %d", sum.Probes(),
			sum.Verdicts[Established], n, 1+n/1000)
	}
}

// BenchmarkReplay is a capture in memory, both passes, engine excluded:
// half of it connections to a service, half of it a scan that is refused.
func BenchmarkReplay(b *testing.B) {
	capture := pcapHeader(linkEthernet)
	frame := func(p []byte) []byte { return append([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0}, p...) }
	count, at := 0, int64(1e18)
	add := func(p []byte) {
		capture = pcapRecord(capture, at, frame(p))
		at += 1000
		count++
	}
	for i := range uint32(100_000) {
		client := netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}).String()
		sport := uint16(1024 + i%60000)
		add(tcp(client, us, sport, 25, syn))
		add(tcp(us, client, 25, sport, syn|ack))
		for range 3 {
			add(tcp(client, us, sport, 25, ack))
		}
		port := uint16(1 + i%1023)
		for range 3 {
			add(tcp(client, us, 5, port, syn))
			add(tcp(us, client, port, 5, rst|ack))
		}
	}
	benchmark(b, capture, count)
}

// BenchmarkReplayFlood is the worst case: every packet a flow of its own.
func BenchmarkReplayFlood(b *testing.B) { benchmark(b, flood(1_000_000), 1_001_003) }

func benchmark(b *testing.B, capture []byte, count int) {
	b.ReportAllocs()
	rules := Rules{Local: host()}
	var probes uint64
	for b.Loop() {
		sum, err := Run(context.Background(), []Source{Memory("bench", capture)}, rules, func(r *Record) {
			if r.Verdict == Probe {
				probes++
			}
		})
		if err != nil || sum.Packets != uint64(count) {
			b.Fatal(err, sum)
		}
	}
	if probes == 0 {
		b.Fatal("no probe")
	}
	b.ReportMetric(float64(count)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mpackets/s")
}
