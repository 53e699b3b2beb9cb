// SPDX-License-Identifier: MIT

package lab

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// listed reports whether an address is an element of a set in nft's output.
func listed(set string, a netip.Addr) bool {
	for _, word := range strings.FieldsFunc(set,
		func(r rune) bool { return strings.ContainsRune(" \t\n,{}", r) }) {
		if got, err := netip.ParseAddr(word); err == nil && got == a {
			return true
		}
		if p, err := netip.ParsePrefix(word); err == nil && p.Contains(a) {
			return true
		}
	}
	return false
}

// Three ports are below the trigger. Port 15 is hot, for the witness.
const calmConfig = `
[tcp]
modes = ["stealth", "advanced"]
action = "block"
trigger = { stealth = 0, advanced = 3 }
stealth = "15"
advanced = "1-1023"
[udp]
modes = ["advanced"]
action = "block"
trigger = 3
advanced = "1-1023"
`

// TestKnocksOnOnePort: a client that tries again and again is no scanner: ten knocks on a
// closed port are one port, and so are the retransmissions of one knock. Neither the number nor
// the form of its packets counts against it.
func TestKnocksOnOnePort(t *testing.T) {
	for _, style := range []struct{ name, config, action string }{
		{"graded", calmConfig, "action=fence"},
		{"block", blocking + calmConfig, "action=block"},
	} {
		t.Run(style.name, func(t *testing.T) { knocks(t, style.config, style.action) })
	}
}

func knocks(t *testing.T, config, action string) {
	l := newLab(t)
	d := start(t, l.Target, Options{Config: config})
	for _, f := range []struct {
		name                           string
		dst                            netip.Addr
		knocker, patient, udp, scanner netip.Addr
		witness                        netip.Addr
	}{
		{"IPv4", l.Target.V4, Source4(1), Source4(2), Source4(3), Source4(4), Source4(5)},
		{"IPv6", l.Target.V6, Source6(1), Source6(2), Source6(3), Source6(4), Source6(5)},
	} {
		t.Run(f.name, func(t *testing.T) {
			// A stack takes a new source port for each connection.
			patient := func(port uint16) packet { return clientSYN(f.patient, f.dst, 41000+port, port) }
			scanner := func(port uint16) packet { return clientSYN(f.scanner, f.dst, 42000+port, port) }
			for i := range uint16(10) {
				send(t, l.Attacker,
					clientSYN(f.knocker, f.dst, 40000+i, 500),
					patient(500), patient(501), patient(502),
					udp(f.udp, f.dst, 40000, 500, "anybody?"))
			}
			send(t, l.Attacker, scanner(500), scanner(501), scanner(502))
			witness(t, l, d, f.witness, f.dst)
			for _, src := range []netip.Addr{f.knocker, f.patient, f.udp, f.scanner} {
				untouched(t, d, src)
			}
			send(t, l.Attacker, scanner(503))
			if _, err := d.WaitBlock(f.scanner, 3*time.Second); err != nil {
				t.Errorf("the fourth port with trigger 3: %v", err)
			}
			// Ten copies of three knocks and a fourth knock are four probes.
			send(t, l.Attacker, patient(503))
			// A fence covers the /64 of an IPv6 address, a block the address.
			source := "source=" + f.patient.String() + " "
			if f.patient.Is6() {
				source = strings.TrimSuffix(source, "1 ")
			}
			if _, err := d.WaitEvent(3*time.Second, "event=block", action, source, "probes=4 "); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestProtected: probes that are forged in the name of a host's servers, or of the operator's
// friends, block nobody.
func TestProtected(t *testing.T) {
	l := newLab(t)
	if err := l.Target.IP("route add default via 192.0.2.1",
		"route add default via 2001:db8::1"); err != nil {
		t.Fatal(err)
	}
	listen(t, l.Target, "tcp", 80)
	ignore := "[ignore]\naddresses = [\"192.0.2.13\", \"192.0.2.32/29\", \"2001:db8:0:13::1\", " +
		"\"2001:db8:0:20::/60\"]\n"
	d := start(t, l.Target, Options{
		Config:    longConfig() + ignore,
		Resolvers: []netip.Addr{Source4(2), Source6(2)},
	})
	for _, f := range []struct {
		name    string
		dst     netip.Addr
		ours    []netip.Addr          // not the attacker's own
		others  map[string]netip.Addr // reach port 80 afterwards
		witness netip.Addr
	}{
		{"IPv4", l.Target.V4, []netip.Addr{l.Target.V4, l.Target.Second4}, map[string]netip.Addr{
			"gateway": l.Attacker.V4, "resolver": Source4(2), "ignored": Source4(3),
			"in an ignored prefix": Source4(23)}, Source4(9)},
		{"IPv6", l.Target.V6, []netip.Addr{l.Target.V6, l.Target.Second6}, map[string]netip.Addr{
			"gateway": l.Attacker.V6, "resolver": Source6(2), "ignored": Source6(3),
			"in an ignored prefix": Source6(13)}, Source6(9)},
	} {
		t.Run(f.name, func(t *testing.T) {
			forge := func(src netip.Addr) {
				for _, port := range []uint16{11, 13, 15, 22, 100} { // stealth and advanced
					send(t, l.Attacker,
						knock(src, f.dst, port),
						tcp(src, f.dst, segment{from: 40000, to: port, seq: 1, flags: 0}),
						udp(src, f.dst, 40000, port, "anybody?"))
				}
			}
			for _, src := range f.ours {
				forge(src)
			}
			for _, src := range f.others {
				forge(src)
			}
			witness(t, l, d, f.witness, f.dst)
			for _, src := range f.ours {
				untouched(t, d, src)
			}
			for who, src := range f.others {
				untouched(t, d, src)
				if !l.Attacker.Reaches(src, netip.AddrPortFrom(f.dst, 80), time.Second) {
					t.Errorf("the %s cannot reach a service", who)
				}
			}
		})
	}
}

// TestNeighbourOfTheGateway: a block of a neighbour in the gateway's /64 does not cover the
// gateway, and the host still reaches it.
func TestNeighbourOfTheGateway(t *testing.T) {
	l := newLab(t)
	if err := l.Target.IP("route add default via 2001:db8::1"); err != nil {
		t.Fatal(err)
	}
	listen(t, l.Target, "tcp", 80)
	listen(t, l.Attacker, "tcp", 80)
	d := start(t, l.Target, Options{Config: longConfig()})
	for i := 1; i <= 5; i++ {
		witness(t, l, d, Neighbour6(i), l.Target.V6)
	}
	if err := l.Target.IP("neigh flush dev eth0"); err != nil {
		t.Fatal(err)
	}
	untouched(t, d, l.Attacker.V6)
	if !l.Attacker.Reaches(l.Attacker.V6, netip.AddrPortFrom(l.Target.V6, 80), time.Second) {
		t.Error("the gateway cannot reach the host")
	}
	if !l.Target.Reaches(netip.Addr{}, netip.AddrPortFrom(l.Attacker.V6, 80), time.Second) {
		t.Error("the host cannot reach its gateway")
	}
	if l.Attacker.Reaches(Neighbour6(1), netip.AddrPortFrom(l.Target.V6, 80), 200*time.Millisecond) {
		t.Error("the neighbour that scanned is not blocked")
	}
}

// TestBackscatter: answers to packets that others forged in our name are no probes. Their
// sources are victims.
func TestBackscatter(t *testing.T) {
	l := newLab(t)
	listen(t, l.Target, "tcp", 80)
	d := start(t, l.Target, Options{Config: hotConfig})
	for _, f := range []struct {
		name    string
		dst     netip.Addr
		sources []netip.Addr
		witness netip.Addr
	}{
		{"IPv4", l.Target.V4, []netip.Addr{Source4(1), Source4(2), Source4(3), Source4(4)}, Source4(9)},
		{"IPv6", l.Target.V6, []netip.Addr{Source6(1), Source6(2), Source6(3), Source6(4)}, Source6(9)},
	} {
		t.Run(f.name, func(t *testing.T) {
			for port := uint16(1); port <= 20; port++ {
				answer := segment{from: 80, to: port, seq: uint32(port), flags: synAck}
				send(t, l.Attacker, tcp(f.sources[0], f.dst, answer))
				answer.flags = rst
				send(t, l.Attacker, tcp(f.sources[1], f.dst, answer))
				answer.flags = rst | 0x10
				send(t, l.Attacker, tcp(f.sources[2], f.dst, answer), unreachable(f.sources[3], f.dst, port))
			}
			witness(t, l, d, f.witness, f.dst)
			for _, src := range f.sources {
				innocent(t, l, d, src, f.dst)
			}
		})
	}
}

// TestAnswersDoNotHideAScan: packets that are counted but never held against a source do not
// use up its allowance. masscan sends such packets: a RST after each probe.
func TestAnswersDoNotHideAScan(t *testing.T) {
	foundAmid(t, func(src, dst netip.Addr) (packets []packet) {
		for port := uint16(1); port <= 60; port++ {
			packets = append(packets, tcp(src, dst,
				segment{from: 80, to: port, seq: uint32(port), flags: rst}))
		}
		for port := uint16(1); port <= 1000; port++ {
			packets = append(packets, knock(src, dst, port))
		}
		return packets
	})
}

// TestRepeatsDoNotHideAScan: nor does a flood of SYNs to a few ports.
func TestRepeatsDoNotHideAScan(t *testing.T) {
	foundAmid(t, func(src, dst netip.Addr) (packets []packet) {
		for i := range 20_000 {
			port := uint16(1 + i%2)
			if i%20 == 0 {
				port = uint16(10 + i/20) // the scan
			}
			packets = append(packets, tcp(src, dst,
				segment{from: 40000, to: port, seq: uint32(i), flags: syn}))
		}
		return packets
	})
}

// foundAmid sends packets from a source of each family and waits for its block.
func foundAmid(t *testing.T, packets func(src, dst netip.Addr) []packet) {
	t.Helper()
	l := newLab(t)
	d := start(t, l.Target, Options{})
	for src, dst := range map[netip.Addr]netip.Addr{Source4(1): l.Target.V4, Source6(1): l.Target.V6} {
		send(t, l.Attacker, packets(src, dst)...)
		if _, err := d.WaitBlock(src, 3*time.Second); err != nil {
			t.Errorf("%s: %v", src, err)
		}
	}
}

// unreachable returns a port-unreachable error about a datagram that dst never sent (RFC 792;
// RFC 4443, 3.1).
func unreachable(src, dst netip.Addr, port uint16) packet {
	about := udp(dst, src, port, 53, "question")
	if src.Is4() {
		return icmp(src, dst, append([]byte{3, 3, 0, 0, 0, 0, 0, 0}, about...))
	}
	return icmp(src, dst, append([]byte{1, 4, 0, 0, 0, 0, 0, 0}, about...))
}
