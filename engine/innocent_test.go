// SPDX-License-Identifier: MIT

package engine_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"picket/engine"
	"picket/internal/config"
	"picket/internal/probe"
)

// A life is a host on the default configuration with ordinary visitors, who send packets to ports
// without a listener. A packet is mirrored if a rule of the configuration would mirror it.
type life struct {
	*testing.T
	e        *engine.Engine
	c        *config.Config
	r        *rand.Rand
	at       time.Time
	sent     int
	mirrored int
	hostile  bool // the life of a scanner: a response is right
	style    engine.Style
}

func newLife(t *testing.T, c *config.Config, style engine.Style) *life {
	ec := c.Engine(nil, 32768, false)
	ec.Style = style
	e, err := engine.New(ec, 1)
	if err != nil {
		t.Fatal(err)
	}
	return &life{T: t, e: e, c: c, style: style, r: rand.New(rand.NewPCG(3, 4)),
		at: time.Unix(1_800_000_000, 0)}
}

var systems = [...]probe.Probe{
	{Window: 64240, MSS: 1460, Options: 0x0204080103 << 24, TTL: 54, DontFrag: true, Length: 60},
	{Window: 64240, MSS: 1460, Options: 0x020103010104 << 16, TTL: 113, DontFrag: true, Length: 52},
	{Window: 65535, MSS: 1460, Options: 0x0201030101080400, TTL: 52, DontFrag: true, Length: 64},
}

// send sends one packet; a source port of 0 stands for an ephemeral one.
func (l *life) send(src, dst string, technique probe.Technique, sport, port int) {
	l.Helper()
	p := systems[len(src)%len(systems)]
	p.Technique, p.Protocol = technique, probe.ProtocolTCP
	if technique == probe.UDP {
		p = probe.Probe{Technique: technique, Protocol: probe.ProtocolUDP, TTL: 54, Length: 60}
	} else {
		p.Seq = l.r.Uint32()
	}
	if technique != probe.SYN {
		if p.Ack = p.Seq + 1; p.TTL > 64 {
			p.Options = 0
		} else if p.Options != 0 {
			p.Options = 0x010108 << 40 // nop, nop, timestamps: RFC 7323, 3.2
		}
	}
	l.packet(p, src, dst, sport, port)
}

// packet sends a packet as it is made, which must get no response.
func (l *life) packet(p probe.Probe, src, dst string, sport, port int) (d engine.Decision) {
	l.Helper()
	p.At, p.Source, p.Destination = l.at.UnixNano(), netip.MustParseAddr(src), netip.MustParseAddr(dst)
	p.Port = uint16(port)
	switch {
	case sport != 0:
		p.SourcePort = uint16(sport)
	case p.SourcePort == 0:
		p.SourcePort = uint16(32768 + l.r.IntN(28000))
	}
	l.sent++
	if p.Mode = l.c.Mode(p.Protocol, p.Port); p.Mode == 0 {
		return d // no rule mirrors it
	}
	l.mirrored++
	if d = l.e.Observe(p); d.NewPattern && !d.Pattern.Shared() && l.style == engine.Graded && !l.hostile {
		l.Errorf("%s: called a %v after %v: %s", src, d.Pattern, l.at.Sub(time.Unix(1_800_000_000, 0)),
			d.Evidence())
	}
	if d.Action != engine.None && !l.hostile {
		l.Errorf("%s: %v for %s from %d to %d after %v: %s, %s", src, d.Action, p.Technique, p.SourcePort,
			port, l.at.Sub(time.Unix(1_800_000_000, 0)), d.Reason, d.Evidence())
	}
	return d
}

// tries sends what a client without an answer sends: three SYNs more (RFC 6298), with the same
// sequence number.
func (l *life) tries(src, dst string, port int) {
	l.Helper()
	l.send(src, dst, probe.SYN, 0, port)
}

func (l *life) wait(d time.Duration) { l.at = l.at.Add(d) }

// twoDozen are services with a check in monitoring systems.
var twoDozen = []int{21, 22, 25, 53, 80, 88, 110, 143, 389, 443, 465, 587, 636, 993, 995, 2049, 3306, 5432,
	5666, 8080, 8443, 9100, 10050, 11434}

const us, us6 = "192.0.2.2", "2001:db8::2"

// Nobody is fenced or blocked for an ordinary life. Each visitor is of a kind that other programs
// blocked, by the complaints in their issue trackers.
func TestOrdinaryLife(t *testing.T) {
	for _, x := range []struct {
		who  string
		seen bool // a rule mirrors some of it
		do   func(l *life)
	}{
		{"a browser with happy eyeballs and a site that moved", true, func(l *life) {
			for range 200 {
				for _, port := range []int{443, 80} {
					l.tries("2001:db8:7::5", us6, port)
					l.tries("198.51.100.5", us, port)
				}
				l.wait(7 * time.Second)
			}
		}},
		{"a client that retries a closed port for days", true, func(l *life) {
			for range 20000 {
				l.tries("198.51.100.6", us, 25)
				l.wait(30 * time.Second)
			}
		}},
		{"traceroute, by UDP, TCP and ICMP", false, func(l *life) {
			for hop := range 90 {
				l.send("198.51.100.7", us, probe.UDP, 0, 33434+hop)
				l.tries("198.51.100.7", us, 80)
				l.wait(time.Second / 10)
			}
		}},
		{"a resolver that answers late", true, func(l *life) {
			for range 3000 {
				l.send("198.51.100.53", us, probe.UDP, 53, 32768+l.r.IntN(28000))
				l.wait(30 * time.Second)
			}
		}},
		{"NTP, DHCP, NetBIOS, SNMP, RIP and mDNS of the neighbours", false, func(l *life) {
			for range 2000 {
				for _, port := range []int{123, 67, 68, 137, 138, 161, 162, 520, 546, 547, 1900, 5353, 5355} {
					l.send("192.0.2.40", us, probe.UDP, port, port)
				}
				l.wait(time.Minute)
			}
		}},
		{"a mail server and an FTP server that ask ident", false, func(l *life) {
			for i := range 200 {
				l.tries(fmt.Sprintf("198.51.100.%d", 20+i%3), us, 113)
				l.wait(time.Minute)
			}
		}},
		{"a monitoring system that asks ten services, for a month", true, func(l *life) {
			for range 30 * 24 * 12 {
				for _, port := range []int{22, 25, 53, 80, 110, 143, 389, 443, 636, 993} {
					l.tries("198.51.100.60", us, port)
				}
				l.wait(5 * time.Minute)
			}
		}},
		{"one that asks two dozen, every hour", true, func(l *life) {
			for range 1000 {
				for _, port := range twoDozen {
					l.tries("198.51.100.62", us, port)
				}
				l.wait(time.Hour)
			}
		}},
		{"one that asks one of them every half hour", true, func(l *life) {
			for i := range 3000 {
				l.tries("198.51.100.61", us, []int{22, 25, 53, 80, 110, 143, 389, 443, 636, 993}[i%10])
				l.wait(30 * time.Minute)
			}
		}},
		{"connections that outlive conntrack", true, func(l *life) {
			for i := range 5000 {
				server := fmt.Sprintf("198.51.100.%d", 100+i%100)
				l.send(server, us, []probe.Technique{probe.ACK, probe.Maimon}[i%2],
					[]int{443, 80, 993, 5432, 8443}[i%5], 32768+l.r.IntN(28000))
				l.wait(time.Second)
			}
		}},
		{"the clients of a service that stopped with their connections open", true, func(l *life) {
			for i := range 20000 {
				l.send(fmt.Sprintf("198.51.%d.%d", 1+i%100, 1+i%250), us, []probe.Technique{probe.ACK,
					probe.Maimon, probe.SYN}[i%3], 0, []int{443, 80}[i%2])
				l.wait(time.Millisecond)
			}
		}},
		{"the clients of a host that booted and has no service up yet", true, func(l *life) {
			services := []int{21, 22, 25, 53, 80, 88, 110, 143, 389, 443, 445, 465, 514, 554, 587, 631, 636,
				993, 995}
			for i := range 50000 {
				own := i % 3000
				l.tries(fmt.Sprintf("198.51.%d.%d", 1+own/250, 1+own%250), us,
					services[(own+i/3000%2)%len(services)])
				l.wait(time.Millisecond)
			}
		}},
		{"a peer that booted", true, func(l *life) {
			for range 1000 {
				l.send("198.51.100.70", us, probe.RST, 443, 32768+l.r.IntN(28000))
				l.wait(time.Second)
			}
		}},
		{"a load balancer that asks after our health, on four addresses", true, func(l *life) {
			for range 20000 {
				for i := range 4 {
					l.tries("198.51.100.80", fmt.Sprintf("192.0.2.%d", 2+i), 443)
				}
				l.wait(5 * time.Second)
			}
		}},
		{"an office behind one address, for a fortnight", true, func(l *life) {
			// Mail programs look for their server (on the ports of RFC 6186 and a few more), browsers for
			// a site, an administrator for a host.
			ordinary := []int{80, 443, 25, 110, 143, 465, 587, 993, 995, 22, 21, 53}
			for range 14 * 24 {
				for range 20 {
					// Most programs try one or two ports, a mail program tries all of its own.
					if port := ordinary[l.r.IntN(len(ordinary))]; slices.Contains([]int{25, 110, 143, 465,
						587, 993, 995}, port) && l.r.IntN(40) == 0 {
						for _, port := range []int{993, 143, 995, 110, 465, 587, 25} {
							l.tries("198.51.100.90", us, port)
						}
					} else if l.r.IntN(4) == 0 {
						l.tries("198.51.100.90", us, port)
					}
					l.wait(3 * time.Minute)
				}
			}
		}},
		{"a thousand strangers a day that look at one port each", true, func(l *life) {
			for i := range 30000 {
				l.tries(fmt.Sprintf("203.%d.%d.%d", i>>16, i>>8&255, i&255), us,
					[]int{23, 22, 80, 443, 445, 21, 25, 110}[l.r.IntN(8)])
				l.wait(86 * time.Second)
			}
		}},
	} {
		t.Run(x.who, func(t *testing.T) {
			for _, style := range []engine.Style{engine.Graded, engine.BlockOnly} {
				l := newLife(t, config.Default(), style)
				x.do(l)
				t.Logf("%v: %d packets, of which a rule mirrors %d", style, l.sent, l.mirrored)
				if x.seen && l.mirrored == 0 {
					t.Error("no packet of it is mirrored")
				}
			}
		})
	}
}
