// SPDX-License-Identifier: MIT

package engine_test

import (
	"fmt"
	"testing"
	"time"

	"picket/engine"
	"picket/internal/config"
	"picket/internal/probe"
)

// SYNs of ordinary systems that are easily taken for a raw scanner's. The sources are in
// docs/patterns.md.
var odd = map[string]probe.Probe{
	"lwIP":          {Window: 5840, MSS: 1460, Options: 2 << 56, TTL: 250, Length: 44},
	"lwIP, ESP8266": {Window: 2144, MSS: 536, Options: 2 << 56, TTL: 120, Length: 44},
	"lwIP, ESP32":   {Window: 5744, MSS: 1440, Options: 2 << 56, TTL: 55, Length: 44},
	"lwIP, large":   {Window: 65535, MSS: 1460, Options: 2 << 56, TTL: 245, Length: 44},
	"lwIP, scaled":  {Window: 65535, MSS: 1460, Options: 0x020103010104 << 16, TTL: 245, Length: 52},
	"uIP":           {Window: 1280, MSS: 1280, Options: 2 << 56, TTL: 52, Length: 44},
	"Contiki":       {Window: 48, MSS: 48, Options: 2 << 56, TTL: 52, Length: 44},
	"Microchip":     {Window: 1024, MSS: 536, Options: 2 << 56, TTL: 90, Length: 44},
	"W5500, 1 KiB":  {Window: 1024, MSS: 1460, Options: 2 << 56, TTL: 117, Length: 44, DontFrag: true},
	"W5500":         {Window: 2048, MSS: 1460, Options: 2 << 56, TTL: 117, Length: 44, DontFrag: true},
	"Cisco IOS":     {Window: 4128, MSS: 536, Options: 2 << 56, TTL: 245, Length: 44},
	"VxWorks":       {Window: 8192, MSS: 1460, Options: 2 << 56, TTL: 54, Length: 44},
	"JetDirect":     {Window: 5840, MSS: 1460, Options: 2 << 56, TTL: 54, Length: 44},
	"Windows NT":    {Window: 8192, MSS: 1460, Options: 2 << 56, TTL: 117, Length: 44, DontFrag: true},
	"Windows XP": {Window: 65535, MSS: 1460, Options: 0x0201_0104 << 32, TTL: 117, Length: 48,
		DontFrag: true},
	"Windows, VPN": {Window: 64240, MSS: 1360, Options: 0x020103010104 << 16, TTL: 110, Length: 52},
	"macOS": {Window: 65535, MSS: 1460, Options: 0x0201030101080400, TTL: 52, DontFrag: true,
		Length: 64},
	"Linux, no DF":  {Window: 64240, MSS: 1460, Options: 0x0204080103 << 24, TTL: 54, Length: 60},
	"Linux, plain":  {Window: 64240, MSS: 1460, Options: 2 << 56, TTL: 54, DontFrag: true, Length: 44},
	"AIX":           {Window: 65535, MSS: 1460, Options: 2 << 56, TTL: 52, Length: 44},
	"tcptraceroute": {Window: 0, TTL: 11, Length: 40},
	"traceroute -T": {Window: 5840, MSS: 1460, Options: 0x0204080103 << 24, TTL: 3, Length: 60},
	"FreeRTOS+TCP":  {Window: 2920, MSS: 1460, Options: 0x0201_0303 << 32, TTL: 120, Length: 48},
	"a TTL of 255": {Window: 64240, MSS: 1460, Options: 0x0204080103 << 24, TTL: 245, DontFrag: true,
		Length: 60},
	"SACK is off": {Window: 29200, MSS: 1460, Options: 0x02_01_03 << 40, TTL: 54, DontFrag: true,
		Length: 48},
	"Linux, ECN": {Window: 64240, MSS: 1460, Options: 0x0204080103 << 24, TTL: 54, DontFrag: true,
		Length: 60, Flags: probe.FlagSYN | probe.FlagECE | probe.FlagCWR},
	"Android, MPTCP": {Window: 65535, MSS: 1460, Options: 0x02_04_08_01_03_1e << 16, TTL: 54, DontFrag: true,
		Length: 72},
}

// TestOddStacks: no packet of a real stack is refused at the door. One that tries three common
// services again and again for a day gets no response.
func TestOddStacks(t *testing.T) {
	n := 0
	for name, p := range odd {
		n++
		p.Technique, p.Protocol, p.Seq = probe.SYN, probe.ProtocolTCP, 7
		l := newLife(t, config.Default(), engine.Graded)
		for i := range 48 {
			for k, port := range []int{80, 443, 8883} {
				x := p
				x.SourcePort = uint16(49160 + 3*i + k)
				l.packet(x, fmt.Sprintf("198.51.100.%d", n), us, 0, port)
				if probe.RawSYN(&x) {
					t.Fatalf("%s: refused at the door", name)
				}
			}
			l.wait(30 * time.Minute)
		}
	}
}

// withSYN makes the packet of a system a SYN.
func withSYN(p probe.Probe) probe.Probe {
	p.Technique, p.Protocol, p.Flags = probe.SYN, probe.ProtocolTCP, probe.FlagSYN
	return p
}

// TestLetBe: the ordinary traffic of a network with hosts in it gets no response, with every port
// watched.
func TestLetBe(t *testing.T) {
	udp := func(l *life, src string, sport, port, payload int) {
		l.packet(probe.Probe{Technique: probe.UDP, Protocol: probe.ProtocolUDP, TTL: 64,
			Length: uint16(28 + payload)}, src, us, sport, port)
	}
	for _, x := range []struct {
		who string
		do  func(l *life)
	}{
		{"a laptop that searches for devices all day: SSDP, mDNS, WS-Discovery, LLMNR, NetBIOS",
			func(l *life) {
				for search := range 8 * 30 {
					own := 32768 + search*97%28000
					for device := range 12 {
						src := fmt.Sprintf("192.0.2.%d", 20+device)
						udp(l, src, 1900, own, 300)
						udp(l, src, 49152+device*7+search%5, own+1, 300) // SSDP answers come from any port
						udp(l, src, 5353, own+2, 120)
						udp(l, src, 3702, own+3, 700)
						if search%10 == 0 {
							udp(l, src, 5355, own+4, 60)
							udp(l, src, 137, 1025+search, 200)
						}
					}
					l.wait(2 * time.Minute)
				}
			}},
		{"a program that searches for devices from a port of its own each time, every three seconds",
			func(l *life) {
				for search := range 200 {
					udp(l, "192.0.2.30", 1900, 33000+search*11, 300)
					l.wait(3 * time.Second)
				}
			}},
		{"resolvers and time servers that answer late", func(l *life) {
			for i := range 200 {
				udp(l, fmt.Sprintf("198.51.100.%d", 1+i%3), 53, 32768+i*131%28000, 100)
				udp(l, "198.51.100.9", 123, 32768+i*137%28000, 48)
				l.wait(time.Minute)
			}
		}},
		{"peers of a BitTorrent client that ended", func(l *life) {
			for i := range 5000 {
				src := fmt.Sprintf("203.%d.%d.%d", i%7, i/7%250, i%251)
				udp(l, src, 6881+i%1000, 51413, 60)
				l.send(src, us, probe.SYN, 0, 51413)
				l.wait(time.Second)
			}
		}},
		{"peers of calls, games and QUIC connections that ended", func(l *life) {
			for i := range 200 {
				src := fmt.Sprintf("198.51.100.%d", i)
				for k := range 6 { // RTP and RTCP of three streams, or candidates of WebRTC
					udp(l, src, 16384+i, 40000+2*k, 160)
				}
				udp(l, src, 443, 50000+i, 1200)
				udp(l, src, 3074, 3074, 60)
				l.wait(10 * time.Second)
			}
		}},
		{"a telephone exchange and a video bridge that start again: forty calls, sixty peers", func(l *life) {
			for second := range 30 {
				for call := range 40 {
					src := fmt.Sprintf("198.51.100.%d", 1+call)
					for stream := range 4 { // RTP and RTCP, each way's port drawn from 10000 to 20000
						udp(l, src, 20000+4*call+stream, 10000+4*call+stream, 172)
					}
				}
				for peer := range 60 {
					udp(l, fmt.Sprintf("203.0.113.%d", 1+peer), 50000+peer, 30000+2*peer+second%2, 1100)
				}
				l.wait(time.Second)
			}
		}},
		{"ten calls of one exchange to one that starts again", func(l *life) {
			for range 50 {
				for call := range 10 {
					udp(l, "198.51.100.120", 30000+4*call, 12000+4*call, 172)
					udp(l, "198.51.100.120", 30001+4*call, 12001+4*call, 80)
				}
				udp(l, "198.51.100.120", 5060, 5060, 500)
				l.wait(time.Second)
			}
		}},
		{"players of a game that ended, who have one source port", func(l *life) {
			for i := range 600 {
				udp(l, fmt.Sprintf("198.51.100.%d", 1+i%60), 27005, 27015, 60)
				l.wait(20 * time.Millisecond)
			}
		}},
		{"clients of an FTP server in passive mode that starts again", func(l *life) {
			for client := range 40 {
				for file := range 3 {
					l.packet(withSYN(systems[1]), fmt.Sprintf("203.0.113.%d", 1+client), us, 0,
						50000+client*7%100+file*300)
				}
				l.wait(time.Second)
			}
		}},
		{"a monitoring system that asks for Telnet, every five minutes", func(l *life) {
			for range 3 * 24 * 12 {
				l.send("198.51.100.63", us, probe.SYN, 0, 23)
				l.wait(5 * time.Minute)
			}
		}},
		{"one that asks for what Prometheus asks, every quarter of a minute", func(l *life) {
			for range 100 {
				for _, port := range []int{9090, 9093, 9100, 9104, 9113, 9114, 9115, 9117, 9121, 9182, 9187,
					9200, 9256, 9308, 8080, 3000} {
					l.send("198.51.100.64", us, probe.SYN, 0, port)
				}
				l.wait(15 * time.Second)
			}
		}},
		{"a developer on the same link", func(l *life) {
			for _, port := range []int{2375, 2376, 5000, 5173, 4200, 8080, 3000, 9229, 6443, 5555} {
				for range 5 {
					l.send("192.0.2.90", us, probe.SYN, 0, port)
				}
			}
		}},
		{"connections from before a reboot, of clients and of this host's own", func(l *life) {
			for i := range 60 {
				l.send("203.0.113.20", us, []probe.Technique{probe.ACK, probe.Maimon}[i%2], 5432, 33000+i)
				l.send("198.51.100.21", us, probe.ACK, 40000+i, []int{443, 22, 5432}[i%3])
				l.send("198.51.100.22", us, probe.ACK, 700+i%16, 2049) // NFS, nconnect=16
			}
		}},
		{"SNMP traps, syslog, DHCP, TFTP, Wake-on-LAN of devices with an old address", func(l *life) {
			for range 500 {
				udp(l, "192.0.2.60", 50000, 162, 90)
				udp(l, "192.0.2.61", 514, 514, 200)
				udp(l, "192.0.2.62", 67, 68, 300)
				udp(l, "192.0.2.63", 50001, 69, 30)
				udp(l, "192.0.2.64", 50002, 9, 102)
				udp(l, "192.0.2.65", 161, 40001, 90)
				l.wait(time.Minute)
			}
		}},
		{"a service that restarts, a hundred clients", func(l *life) {
			for i := range 3000 {
				src := fmt.Sprintf("198.51.100.%d", i%100)
				l.send(src, us, []probe.Technique{probe.ACK, probe.SYN, probe.Maimon}[i%3], 0, 8443)
				l.wait(50 * time.Millisecond)
			}
		}},
		{"a monitoring system that asks two dozen services, every minute", func(l *life) {
			for range 24 * 60 {
				for _, port := range twoDozen {
					l.send("198.51.100.62", us, probe.SYN, 0, port)
				}
				udp(l, "198.51.100.62", 40000+l.r.IntN(20000), 161, 40)
				l.wait(time.Minute)
			}
		}},
		{"an administrator who tries ports for SSH, one who tries RDP, one who mistypes", func(l *life) {
			for _, port := range []int{22, 222, 2222, 22222, 2200, 22} {
				l.send("198.51.100.70", us, probe.SYN, 0, port)
			}
			for _, port := range []int{3389, 3390, 3389, 33389} {
				l.send("198.51.100.71", us, probe.SYN, 0, port)
			}
			for _, port := range []int{8080, 8008, 8081, 8888, 9090, 8443} {
				l.send("198.51.100.72", us, probe.SYN, 0, port)
			}
			for _, port := range []int{25, 110, 143, 23, 21, 80} {
				l.send("198.51.100.73", us, probe.SYN, 0, port)
			}
		}},
		{"visitors of a page with links to wrong ports", func(l *life) {
			for i := range 400 {
				src := fmt.Sprintf("203.0.%d.%d", i/200, i%200)
				for _, port := range []int{8080, 3000, 9999} {
					l.send(src, us, probe.SYN, 0, port)
					l.send(src, us, probe.SYN, 0, port)
				}
				l.wait(time.Minute)
			}
		}},
		{"a domain member, a printer search, an NFS client, a mail program", func(l *life) {
			for range 20 {
				for _, port := range []int{135, 445, 389, 88, 464, 636, 3268, 53, 139} {
					l.send("198.51.100.80", us, probe.SYN, 0, port)
				}
				udp(l, "198.51.100.80", 50001, 389, 160)
				udp(l, "198.51.100.80", 50002, 88, 200)
				for _, port := range []int{631, 80, 515, 9100, 443} {
					l.send("192.0.2.81", us, probe.SYN, 0, port)
				}
				for _, port := range []int{111, 2049, 20048} {
					l.send("192.0.2.82", us, probe.SYN, 0, port)
				}
				for _, port := range []int{993, 143, 995, 110, 465, 587, 25, 80, 443} {
					l.send("198.51.100.83", us, probe.SYN, 0, port)
				}
				l.wait(time.Hour)
			}
		}},
		{"an FTP client in passive mode, one in active mode", func(l *life) {
			for i := range 20 {
				if i < 8 {
					l.send("198.51.100.84", us, probe.SYN, 0, 50000+i*13)
				}
				l.send("198.51.100.85", us, probe.SYN, 20, 40000+i*17)
				l.wait(time.Second)
			}
		}},
		{"traceroutes, by datagrams and to a closed port", func(l *life) {
			for hop := range 90 {
				l.packet(probe.Probe{Technique: probe.UDP, Protocol: probe.ProtocolUDP, TTL: uint8(1 + hop/3),
					Length: 60}, "198.51.100.86", us, 40000+hop, 33434+hop)
				l.packet(probe.Probe{Technique: probe.UDP, Protocol: probe.ProtocolUDP, TTL: 1 + uint8(hop%3),
					Length: 1500}, "198.51.100.87", us, 40000, 44444+hop)
				p := odd["tcptraceroute"]
				p.Technique, p.Protocol, p.Seq = probe.SYN, probe.ProtocolTCP, uint32(hop)
				p.TTL = uint8(1 + hop/3)
				l.packet(p, "198.51.100.88", us, 50000+hop, 443)
				l.wait(time.Second / 10)
			}
		}},
	} {
		t.Run(x.who, func(t *testing.T) {
			l := newLife(t, config.Default(), engine.Graded)
			x.do(l)
			if l.mirrored == 0 {
				t.Error("no packet of it is mirrored")
			}
		})
	}
}

// TestNoScanHides: a scan in the shape of ordinary traffic is found before it has seen much.
func TestNoScanHides(t *testing.T) {
	for _, x := range []struct {
		as   string
		most int
		make func(i int) (p probe.Probe, sport, port int)
	}{
		{"late answers of a resolver", 230, func(i int) (probe.Probe, int, int) {
			return probe.Probe{Technique: probe.UDP, Protocol: probe.ProtocolUDP, TTL: 54, Length: 80}, 53,
				32768 + i
		}},
		{"nothing that a resolver says", 30, func(i int) (probe.Probe, int, int) {
			return probe.Probe{Technique: probe.UDP, Protocol: probe.ProtocolUDP, TTL: 54, Length: 28}, 53,
				32768 + i
		}},
		{"segments of a web server", 230, func(i int) (probe.Probe, int, int) {
			return probe.Probe{Technique: probe.ACK, Protocol: probe.ProtocolTCP, TTL: 54, Length: 52,
				DontFrag: true, Ack: 7, Seq: uint32(i), Window: 501}, 80, 32768 + i
		}},
		{"nmap's segments from port 80", 5, func(i int) (probe.Probe, int, int) {
			return probe.Probe{Technique: probe.ACK, Protocol: probe.ProtocolTCP, TTL: 54, Length: 40, Ack: 7,
				Seq: 7, Window: 1024}, 80, 32768 + i
		}},
		{"a traceroute to every port", 230, func(i int) (probe.Probe, int, int) {
			return probe.Probe{Technique: probe.UDP, Protocol: probe.ProtocolUDP, TTL: 3, Length: 60}, 40000,
				33000 + i
		}},
	} {
		l := newLife(t, config.Default(), engine.Graded)
		l.hostile = true
		seen := 0
		for i := range 2000 {
			p, sport, port := x.make(i)
			if l.packet(p, "198.51.100.99", us, sport, port).Action != engine.None {
				seen = i + 1
				break
			}
			l.wait(time.Second / 20)
		}
		if seen == 0 || seen > x.most {
			t.Errorf("%s: found at packet %d, want at most %d", x.as, seen, x.most)
		}
	}
}
