// SPDX-License-Identifier: MIT

package engine

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"picket/internal/probe"
)

func TestTriggers(t *testing.T) {
	for _, x := range []struct {
		name    string
		options []option
		pause   time.Duration
		want    int // the probe that is reacted to
	}{
		{"the eleventh port of a stranger is one too many", nil, time.Second, 11},
		{"the second stealth port is one too many", []option{mode(probe.Stealth)}, time.Second, 2},
		{"so is the eleventh of an nmap, by default", []option{likeTool(probe.Nmap)},
			time.Second, 11},
		{"so is the second stealth port, with nmap or without", []option{mode(probe.Stealth),
			likeTool(probe.Nmap)}, time.Second, 2},
		{"a datagram's source is forged more easily", []option{is(probe.UDP)}, time.Second, 13},
		{"a scan of one port in 15 seconds (nmap -T1) is found", nil, 15 * time.Second, 11},
		{"a scan of one port in five minutes (nmap -T0) is found", nil, 5 * time.Minute, 16},
		{"a scan of one port in five hours is found", nil, 5 * time.Hour, 16},
		{"one port a day is ordinary life", nil, 24 * time.Hour, 0},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newWorld(t, careful())
			d, n := w.scan(100, 40, x.pause, x.options...)
			if n != x.want {
				t.Errorf("reacted to probe %d, want %d: %v", n, x.want, d)
			}
		})
	}
}

func TestToolTrigger(t *testing.T) {
	c := careful()
	c.ToolTrigger = 3
	w := newWorld(t, c)
	if d, n := w.scan(100, 40, time.Second, likeTool(probe.Nmap)); n != 4 || !d.Lowered || d.Trigger != 3 ||
		d.Tool != probe.Nmap {
		t.Errorf("nmap: probe %d, %+v", n, d)
	}
	if d, n := w.scan(100, 40, time.Second, from("198.51.100.8")); n != 11 || d.Lowered ||
		d.Tool.String() != "" {
		t.Errorf("Linux: probe %d, %+v", n, d)
	}
	n := 0
	for i := range 40 { // one in three packets looks like nmap's by chance
		tool := probe.Linux
		if i%3 == 0 {
			tool = probe.Nmap
		}
		if d := w.send(from("198.51.100.9"), port(100+i), likeTool(tool)); d.Action != None {
			n = i + 1
			break
		}
	}
	if n != 11 {
		t.Errorf("now and then like nmap: probe %d", n)
	}
}

// A monitoring system asks for the same ports again and again.
func TestSlowTakesNewPorts(t *testing.T) {
	c := careful()
	c.TCP.Trigger = [probe.Modes]int{25, 25, 25, 25}
	for _, pause := range []time.Duration{time.Hour, 9 * time.Hour, 5 * 24 * time.Hour} {
		w := newWorld(t, c)
		for range 50 {
			for i := range 24 {
				w.spares(w.send(port(100+i)), BelowTrigger)
				w.wait(time.Second)
			}
			w.wait(pause)
		}
	}
}

func TestTriggerZeroBlocksEachAtOnce(t *testing.T) {
	c := careful()
	c.TCP.Trigger = [probe.Modes]int{}
	w := newWorld(t, c)
	for i := range byte(200) {
		src := netip.AddrFrom4([4]byte{203, 0, 113, i})
		d := w.send(from(src.String()))
		w.blocks(d)
		if d.Source != netip.PrefixFrom(src, 32) || d.Release {
			t.Fatalf("blocks %v, release %v", d.Source, d.Release)
		}
		w.wait(10 * time.Millisecond)
	}
}

func TestRepeatedKnocks(t *testing.T) {
	w := newWorld(t, careful())
	for range 100 {
		w.spares(w.send(), BelowTrigger)
		w.wait(time.Second)
	}
	if s, _ := w.Describe(netip.MustParseAddr("198.51.100.7")); s.Ports != 1 || s.Probes != 100 {
		t.Errorf("a hundred knocks on one port: %d ports, %d probes", s.Ports, s.Probes)
	}
}

func TestRetransmissionsCountOnce(t *testing.T) {
	w := newWorld(t, careful())
	w.send(seq(5), sport(4000))
	for _, pause := range []time.Duration{1, 2, 4, 8} { // RFC 6298, 5.5
		w.wait(pause * time.Second)
		w.spares(w.send(seq(5), sport(4000)), Retransmission)
	}
}

func TestOffendersStayLonger(t *testing.T) {
	for _, x := range []struct {
		name   string
		proven bool
		want   []time.Duration
	}{
		{"proven", true, []time.Duration{10 * time.Minute, time.Hour, 24 * time.Hour, 7 * 24 * time.Hour,
			7 * 24 * time.Hour}},
		{"unproven", false, []time.Duration{5 * time.Minute, 30 * time.Minute, time.Hour, time.Hour,
			time.Hour}},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newWorld(t, careful())
			for i, want := range x.want {
				var d Decision
				if x.proven {
					d = w.send(mode(probe.Classic), is(probe.Connect), port(11))
				} else {
					d, _ = w.scan(200, 40, time.Second)
				}
				if d.For != want || d.Offence != i+1 || d.Proven != x.proven {
					t.Errorf("offence %d: %v, proven %v, want %v", d.Offence, d.For, d.Proven, want)
				}
				w.wait(d.For + time.Minute)
			}
			w.wait(31 * 24 * time.Hour)
			if d, _ := w.scan(200, 40, time.Second); d.Offence != 1 {
				t.Errorf("after the memory has ended: offence %d", d.Offence)
			}
		})
	}
}

// Old proof of a source says nothing about later packets that anybody can forge. Only connections
// above the trigger prove a reaction.
func TestProofIsOfTheEvidence(t *testing.T) {
	connect := func(n int) []option { return []option{mode(probe.Classic), is(probe.Connect), port(n)} }
	peer := NewPrefixes(netip.MustParsePrefix("198.51.100.7/32"),
		netip.MustParsePrefix("2001:db8:1:1::5/128"))
	t.Run("a neighbour's connection is no proof", func(t *testing.T) {
		w := newWorld(t, careful())
		w.SetConnected(peer)
		w.blocks(w.send(append(connect(11), from("2001:db8:1:1::66"))...))
		if d, n := w.scan(200, 40, time.Second, from("2001:db8:1:1::5")); n != 0 || d.Reason != IsConnected {
			t.Errorf("reacted at probe %d: %v", n, d.Reason)
		}
	})
	t.Run("nor is one of yesterday", func(t *testing.T) {
		w := newWorld(t, careful())
		w.blocks(w.send(connect(11)...))
		w.wait(24 * time.Hour)
		w.SetConnected(peer)
		if d, n := w.scan(200, 40, time.Second); n != 0 || d.Reason != IsConnected {
			t.Errorf("reacted at probe %d: %v", n, d.Reason)
		}
	})
	t.Run("too few connections are none, enough are", func(t *testing.T) {
		c := careful()
		c.TCP.Trigger[probe.Classic] = 2
		w := newWorld(t, c)
		for i := range 2 {
			if d := w.send(connect(11 + i)...); d.Action != None || !d.Proven {
				t.Errorf("connection %d: %v, proven %v", i+1, d.Action, d.Proven)
			}
		}
		w.SetConnected(peer)
		if d, n := w.scan(200, 20, time.Second); n != 0 || d.Reason != IsConnected {
			t.Errorf("reacted at probe %d: %v", n, d.Reason)
		}
		w.spares(w.send(port(11)), IsConnected) // a forged packet to a port takes no proof away
		d := w.send(connect(13)...)
		w.blocks(d)
		if !d.Proven || d.For != 10*time.Minute {
			t.Errorf("proven %v, for %v", d.Proven, d.For)
		}
	})
}

// Anybody can forge all addresses of a prefix at once. They are one offence together.
func TestOffencesOfAPrefixAtOnce(t *testing.T) {
	w := newWorld(t, careful())
	d, _ := w.scan(100, 40, time.Millisecond, from("2001:db8:7::1"))
	w.blocks(d)
	for i := 2; i <= 3; i++ {
		d = w.send(from(fmt.Sprintf("2001:db8:7::%d", i)))
		w.blocks(d)
		if d.Offence != 1 || d.For != 5*time.Minute {
			t.Errorf("%v: offence %d, for %v", d.Source, d.Offence, d.For)
		}
	}
	if d.Source.Bits() != 64 {
		t.Errorf("at last %v is blocked", d.Source)
	}
	w.wait(6 * time.Minute)
	if d, _ = w.scan(100, 40, time.Millisecond, from("2001:db8:7::1")); d.Offence != 2 {
		t.Errorf("later: offence %d", d.Offence)
	}
}

// A peer that turns out to be connected after its block was ordered is not blocked again by further
// packets.
func TestConnectedIsNotBlockedAgain(t *testing.T) {
	w := newWorld(t, careful())
	d, _ := w.scan(100, 40, time.Millisecond)
	w.blocks(d)
	w.SetConnected(NewPrefixes(netip.MustParsePrefix("198.51.100.7/32")))
	w.wait(time.Minute)
	w.spares(w.send(port(900)), IsConnected)
}

// The memory of sources survives a change of the slow window.
func TestSlowWindowChanges(t *testing.T) {
	c := careful()
	w := newWorld(t, c)
	if d, n := w.scan(100, 9, time.Minute/20); n != 0 || d.Within != 9 {
		t.Fatalf("%d ports inside the window, reacted at %d", d.Within, n)
	}
	memory := remember(w.Engine)
	c.SlowWindow = 6 * 24 * time.Hour
	if err := w.Reconfigure(c); err != nil {
		t.Fatal(err)
	}
	if d := w.send(port(200)); d.Within != 10 {
		t.Errorf("after a change of the slow window %d ports are known", d.Within)
	}
	another := newWorld(t, c)
	if err := recall(another.Engine, memory); err != nil {
		t.Fatal(err)
	}
	another.at = w.at
	if d := another.send(port(201)); d.Within != 10 {
		t.Errorf("after a restart with another %d ports are known", d.Within)
	}
}

func TestUnprovenNeverLongerThanProven(t *testing.T) {
	c := careful()
	c.For = []time.Duration{4 * time.Second}
	w := newWorld(t, c)
	if d, _ := w.scan(100, 40, time.Millisecond); d.For != 4*time.Second {
		t.Errorf("blocked for %v", d.For)
	}
}

func TestBlockedSource(t *testing.T) {
	w := newWorld(t, careful())
	d, _ := w.scan(100, 40, time.Millisecond)
	w.blocks(d)
	w.spares(w.send(port(500)), AlreadyBlocked)
	w.wait(3 * time.Second)
	if d := w.send(port(501)); d.Reason != LostBlock || d.Action != Block || d.For >= 5*time.Minute {
		t.Errorf("the kernel lost the block: %v for %v", d.Reason, d.For)
	}
	if !w.Blocked(netip.MustParseAddr("198.51.100.7"), w.at.UnixNano()) {
		t.Error("not in the books")
	}
	w.Unblock(netip.MustParsePrefix("198.51.100.7/32"))
	w.spares(w.send(port(502)), BelowTrigger)
}

func TestFriends(t *testing.T) {
	c := careful()
	c.TCP.Trigger = [probe.Modes]int{}
	c.Protected = NewPrefixes(netip.MustParsePrefix("198.51.100.0/29"),
		netip.MustParsePrefix("2001:db8:7::/48"))
	w := newWorld(t, c)
	w.SetConnected(NewPrefixes(netip.MustParsePrefix("198.51.100.9/32")))
	for _, x := range []struct {
		who  string
		want Reason
	}{{"198.51.100.7", IsProtected}, {"2001:db8:7:1::9", IsProtected}, {"198.51.100.9", IsConnected}} {
		d := w.send(from(x.who))
		w.spares(d, x.want)
		if !d.Release {
			t.Errorf("%s stays held", x.who)
		}
	}
	d := w.send(from("198.51.100.9"), mode(probe.Classic), is(probe.Connect))
	w.blocks(d) // it scans with its own hands
	w.blocks(w.send(from("198.51.100.8")))
}

func TestUnprovenRate(t *testing.T) {
	c := careful()
	c.TCP.Trigger = [probe.Modes]int{}
	c.UnprovenRate = 60
	w := newWorld(t, c)
	count := func(n int, pause time.Duration, proof ...option) (blocked int) {
		for i := range n {
			if d := w.send(append([]option{func(p *probe.Probe) { p.Source = addr4(w.seq + uint32(i)) }},
				proof...)...); d.Action == Block {
				blocked++
			} else {
				w.spares(d, TooMany)
			}
			w.wait(pause)
		}
		return blocked
	}
	if n := count(1000, time.Millisecond); n < 60 || n > 62 {
		t.Errorf("%d blocked in a second, want one minute's worth", n)
	}
	w.wait(10 * time.Second)
	if n := count(100, time.Millisecond); n < 10 || n > 12 {
		t.Errorf("%d blocked ten seconds later, want 10", n)
	}
	if n := count(100, time.Millisecond, mode(probe.Classic), is(probe.Connect)); n != 100 {
		t.Errorf("%d of 100 proven ones blocked", n)
	}
}

func TestBackscatterIsNobodysFault(t *testing.T) {
	w := newWorld(t, careful())
	told := 0
	for i := range 5000 {
		d := w.send(is([]probe.Technique{probe.RST, probe.SYNACK, probe.ICMPError, probe.SCTPAnswer}[i%4]),
			port(i))
		w.spares(d, Backscatter)
		if d.NewPattern {
			told++
			if d.Pattern != Reflection || !d.Tell || !strings.Contains(d.Evidence(), "forges") {
				t.Errorf("%v: %q", d.Pattern, d.Evidence())
			}
		}
		w.wait(10 * time.Millisecond)
	}
	if told != 1 {
		t.Errorf("much backscatter was told %d times", told)
	}
	if n := w.Stats().Sources; n != 0 {
		t.Errorf("%d sources are remembered", n)
	}
}

// A host whose answers arrive all day, however slowly, is reported once a day as a victim. Stray
// answers of others do not hide it and are no attack.
func TestVictimOfADay(t *testing.T) {
	w := newWorld(t, graded())
	told := 0
	for i := range 3 * 24 * 60 {
		for range 2 {
			stray := fmt.Sprintf("198.%d.%d.%d", 18+w.seq>>31, byte(w.seq>>16), byte(w.seq>>8))
			w.spares(w.send(is(probe.RST), from(stray)), Backscatter)
		}
		d := w.send(is(probe.SYNACK), from("203.0.113.80"), at(fmt.Sprintf("192.0.2.%d", i%250)),
			port(1024+i))
		if w.spares(d, Backscatter); d.NewPattern {
			told++
			if d.Pattern != Reflection || !strings.Contains(d.Evidence(), " 203.0.113.80 ") {
				t.Errorf("%v: %q", d.Pattern, d.Evidence())
			}
		}
		w.wait(time.Minute)
	}
	if told != 3 {
		t.Errorf("told %d times in three days", told)
	}
}

func TestLateAnswers(t *testing.T) {
	w := newWorld(t, careful())
	for i, service := range []int{53, 123, 443, 993, 3306, 5432, 8080, 8443, 27017} {
		for j, technique := range []probe.Technique{probe.UDP, probe.ACK, probe.Maimon} {
			w.spares(w.send(sport(service), port(40000+100*i+j), is(technique),
				from(fmt.Sprintf("198.51.100.%d", i)), func(p *probe.Probe) { p.Ack = 1 }), LateAnswer)
		}
	}
	w.spares(w.send(sport(53), port(40000)), BelowTrigger) // a SYN answers nothing
}

// TestSegmentsFromBefore: after a reboot, or with the address of another host, old peers go on
// sending segments, from any port to any port. As many as a pool of connections sends are let pass,
// and no more.
func TestSegmentsFromBefore(t *testing.T) {
	stamped := func(p *probe.Probe) { p.Options, p.Ack, p.DontFrag = 0x0101_0800_0000_0000, 1, true }
	for _, style := range []Style{Graded, BlockOnly} {
		c := careful()
		c.Style = style
		w := newWorld(t, c)
		for n := range 40 {
			technique := []probe.Technique{probe.ACK, probe.Maimon}[n%2]
			w.spares(w.send(sport(50000), port(700+n), is(technique), stamped), LateAnswer)
		}
		w.spares(w.send(sport(50000), port(600), stamped), BelowTrigger) // a SYN begins something
		n := 40
		for ; n < 1000; n++ {
			if d := w.send(sport(50000), port(700+n), is(probe.ACK), stamped); d.Action != None {
				break
			}
		}
		if n > 150 {
			t.Errorf("%v: no response to %d segments", style, n)
		}
	}
}

// Too many late answers are none: a scanner may send from any port. A flood of other sources
// neither makes the engine forget their number nor excuses them.
func TestLateAnswersAreBounded(t *testing.T) {
	for _, style := range []Style{Graded, BlockOnly} {
		for _, technique := range []probe.Technique{probe.UDP, probe.ACK, probe.Maimon} {
			for _, flood := range []int{0, 1, 100} {
				c := careful()
				c.Style = style
				c.TCP.Trigger, c.UDP.Trigger = [probe.Modes]int{25, 25, 25, 25},
					[probe.Modes]int{25, 25, 25, 25}
				w := newWorld(t, c)
				var d Decision
				n := 0
				for n < 1000 && d.Action == None {
					d = w.send(sport(53), port(32768+n*7), is(technique), func(p *probe.Probe) {
						p.Options = 0
						p.Ack = 1
					})
					n++
					for range flood {
						w.send(func(p *probe.Probe) { p.Source = addr4(w.seq >> 1) }, sport(53), port(40000),
							is(technique))
					}
				}
				if n < 25 || n > 40 || d.Action == None || d.Proven ||
					flood == 0 && d.Reason != AboveAnswers {
					t.Errorf("%v, %v with %d others: %v at probe %d, %v", style, technique, flood, d.Action,
						n, d.Reason)
				}
			}
		}
	}
}

// A packet that hides its port counts as a new port each time, never as a copy.
func TestUnreadPorts(t *testing.T) {
	for _, c := range []Config{careful(), graded()} {
		w := newWorld(t, c)
		deep := func(p *probe.Probe) {
			p.Unread, p.Port, p.SourcePort, p.Seq, p.Technique = true, 0, 0, 0, probe.Unknown
		}
		for i := range 10 {
			if d := w.send(deep); d.Reason != BelowTrigger || d.Within != i+1 {
				t.Fatalf("%v: probe %d: %v, %d ports", c.Style, i+1, d.Reason, d.Within)
			}
		}
		if d := w.send(deep); d.Reason != AboveTrigger || d.Action == None {
			t.Errorf("%v: %v, %v", c.Style, d.Action, d.Reason)
		}
	}
}

// A packet that the kernel marks as over budget counts, even a copy or a late answer.
func TestOverBudget(t *testing.T) {
	over := func(p *probe.Probe) { p.Over = true }
	for _, c := range []Config{careful(), graded()} {
		w := newWorld(t, c)
		w.send(seq(5), sport(4000))
		d := w.send(seq(5), sport(4000), over) // a copy
		if d.Reason != OverBudget || d.Action == None || d.Proven {
			t.Errorf("%v: %v, %v", c.Style, d.Action, d.Reason)
		}
		d = w.send(from("203.0.113.5"), sport(53), port(40000), is(probe.UDP), over) // a late answer
		if d.Reason != OverBudget || d.Action == None {
			t.Errorf("%v: %v, %v", c.Style, d.Action, d.Reason)
		}
		w.spares(w.send(from("203.0.113.6"), is(probe.RST), over), Backscatter) // somebody forges our address
		c.Protected = NewPrefixes(netip.MustParsePrefix("203.0.113.0/24"))
		w = newWorld(t, c)
		w.spares(w.send(from("203.0.113.5"), over), IsProtected)
	}
}

// The rules hold a source that is above a trigger by their count, although the engine has forgotten
// some of its ports.
func TestHeld(t *testing.T) {
	held := func(p *probe.Probe) { p.Held = true }
	w := newWorld(t, graded())
	w.send(seq(5), sport(4000))
	if d := w.send(seq(5), sport(4000), held); d.Action != Fence {
		t.Errorf("graded: %v, %v", d.Action, d.Reason)
	}
	w = newWorld(t, careful())
	w.send(seq(5), sport(4000))
	w.spares(w.send(seq(5), sport(4000), held), Retransmission)
	// The rules hold a connected peer too. Style BlockOnly releases it where no port is hot.
	for _, style := range []Style{Graded, BlockOnly} {
		c := careful()
		c.Style = style
		w = newWorld(t, c)
		for i := range 20 {
			w.send(port(1000 + i))
		}
		if d := w.send(port(1100), held); d.Release {
			t.Errorf("%v: a blocked or fenced source is released: %v", style, d.Reason)
		}
		w = newWorld(t, c)
		w.SetConnected(NewPrefixes(netip.MustParsePrefix("198.51.100.7/32")))
		for i := range 20 {
			w.send(port(1000 + i))
		}
		if d := w.send(port(1100), held); d.Release != (style == BlockOnly) {
			t.Errorf("%v: a connected peer, released %v: %v", style, d.Release, d.Reason)
		}
	}
}

// Neighbours that share a scan learn little more than one neighbour alone, although each of their
// addresses is a source of its own.
func TestLinkBound(t *testing.T) {
	for addresses, most := range map[int]int{2: 34, 3: 35, 6: 38} {
		for _, network := range []string{"2001:db8:1::%x", "fe80::%x"} {
			c := graded()
			c.TCP.Trigger = [probe.Modes]int{25, 25, 25, 25}
			c.OnLink = NewPrefixes(netip.MustParsePrefix("2001:db8:1::/64"))
			w := newWorld(t, c)
			answered := 0
			for i := range 1000 {
				a := netip.MustParseAddr(fmt.Sprintf(network, 1+i%addresses))
				if w.InForce(Fence, a, w.at.UnixNano()) {
					continue
				}
				answered++
				if d := w.send(from(a.String()), port(1+i)); d.Action != None && d.Reason != AboveLink &&
					d.Reason != PartOfScan {
					t.Fatalf("%v", d)
				}
				w.wait(time.Millisecond)
			}
			if answered > most {
				t.Errorf("%d addresses like %s learn %d ports, want at most %d", addresses, network, answered,
					most)
			}
		}
	}
	t.Run("a neighbour with few ports is no scanner, whatever others did", func(t *testing.T) {
		c := graded()
		c.OnLink = NewPrefixes(netip.MustParsePrefix("2001:db8:1::/64"))
		w := newWorld(t, c)
		for i := range 100 {
			if d := w.send(from(fmt.Sprintf("2001:db8:1::%x", 1+i/4)), port(100+i)); d.Action != None &&
				d.Reason != PartOfScan {
				t.Fatalf("%v", d)
			}
			w.wait(time.Second)
		}
	})
}

func TestBeganWith(t *testing.T) {
	for text, want := range map[string]probe.Sent{
		"": probe.SentNothing, "GET / HTTP/1.1\r\n": probe.SentHTTP, "PRI * HTTP/2.0\r\n": probe.SentHTTP,
		"OPTIONS http://192.0.2.1/ HTTP/1.1\r\n": probe.SentHTTP,
		"\x16\x03\x01\x02\x00\x01":               probe.SentTLS, "\x16": probe.SentTLS,
		"\x13BitTorrent pro": probe.SentTorrent, "\x13BitTorrent protocol\x00\x00": probe.SentTorrent,
		"\x16\x05": probe.SentOther, "\x13BitTor": probe.SentOther, "\x13BitTorrent-x": probe.SentOther,
		"SSH-2.0-x\r\n": probe.SentOther, "USER root\r\n": probe.SentOther,
		"GET": probe.SentOther, "GET ": probe.SentOther, "G /": probe.SentOther, "\x00": probe.SentOther,
		" / ": probe.SentOther,
	} {
		if got := probe.BeganWith([]byte(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

// A connection that begins like a browser's is evidence and no proof. The engine hears of each
// connection twice: when it is accepted, and when its beginning is known.
func TestTrapProof(t *testing.T) {
	sent := func(s probe.Sent) option { return func(p *probe.Probe) { p.Sent = s } }
	trap := func(n int, s probe.Sent) []option {
		return []option{mode(probe.Classic), is(probe.Connect), port(n), sport(50000), seq(0), sent(s)}
	}
	for _, s := range []probe.Sent{probe.SentNothing, probe.SentOther} {
		c := graded()
		c.Score = Dark
		c.TCP.Trigger[probe.Classic] = 1
		w := newWorld(t, c)
		w.spares(w.send(trap(1, probe.SentNotYet)...), BelowTrigger)
		if d := w.send(trap(1, s)...); d.Action != None || !d.Observed.Has(probe.AsksTrap) || d.Probes != 1 {
			t.Errorf("%v, %v, %d probes", d.Action, d.Observed, d.Probes)
		}
		// Two trap ports; it may still be a browser.
		w.spares(w.send(trap(7, probe.SentNotYet)...), BelowTrigger)
		d := w.send(trap(7, s)...)
		w.blocks(d)
		if !d.Proven || d.Reason != AboveTrigger || d.Probes != 2 {
			t.Errorf("proven %v, %v, %d probes", d.Proven, d.Reason, d.Probes)
		}
	}
	c := graded()
	c.TCP.Trigger[probe.Classic] = 1
	w := newWorld(t, c)
	for n := range 5 {
		w.spares(w.send(port(100+n)), BelowTrigger)
	}
	w.spares(w.send(trap(1, probe.SentOther)...), BelowTrigger) // a single trap port
	w.blocks(w.send(trap(7, probe.SentOther)...))
	for _, s := range []probe.Sent{probe.SentHTTP, probe.SentTLS, probe.SentTorrent, probe.SentNotYet} {
		c := graded()
		c.TCP.Trigger[probe.Classic] = 1
		w := newWorld(t, c)
		for n := range 10 {
			if d := w.send(trap(1+n, s)...); d.Action != None || d.Proven || d.Trigger != 10 {
				t.Fatalf("%v, proven %v, trigger %d", d.Action, d.Proven, d.Trigger)
			}
		}
		w.fences(w.send(trap(11, s)...))
	}
}

// A block or a command for a connection waits until its beginning is known. Done earlier, and so
// unproven, it would stand in the way of the proof.
func TestProofIsWaitedFor(t *testing.T) {
	c := careful()
	c.TCP.Trigger = [probe.Modes]int{}
	for _, c.TCP.Action = range []Action{Run, Block} {
		for _, c.Style = range []Style{BlockOnly, Graded} {
			for sent, proves := range map[probe.Sent]bool{probe.SentOther: true, probe.SentHTTP: false} {
				w := newWorld(t, c)
				visit := func(s probe.Sent) Decision {
					return w.send(mode(probe.Classic), is(probe.Connect), port(7), sport(50000), seq(0),
						func(p *probe.Probe) { p.Sent = s })
				}
				first, want := visit(probe.SentNotYet), c.TCP.Action
				if c.Style == Graded && want == Block {
					w.fences(first)
					if want = None; proves {
						want = Block
					}
				} else {
					w.spares(first, Handshake)
				}
				if d := visit(sent); d.Action != want || d.Proven != proves {
					t.Errorf("%v, %v, began with %v: %v, proven %v", c.Style, c.TCP.Action, sent, d.Action,
						d.Proven)
				}
			}
		}
	}
}

func TestHandshakeIsJudgedWhenComplete(t *testing.T) {
	c := careful()
	c.Trap = true
	w := newWorld(t, c)
	w.spares(w.send(mode(probe.Classic), port(11)), Handshake)
	d := w.send(mode(probe.Classic), port(11), is(probe.Connect))
	w.blocks(d)
	if !d.Proven || d.For != 10*time.Minute {
		t.Errorf("proven %v, for %v", d.Proven, d.For)
	}
}

func TestTellsByDoubling(t *testing.T) {
	w := newWorld(t, careful())
	told := 0
	for range 1000 {
		if w.send().Tell {
			told++
		}
		w.wait(time.Second)
	}
	if told != 10 { // 1, 2, 4, ... 512
		t.Errorf("a thousand knocks on one port were told %d times", told)
	}
}

func TestConfigBounds(t *testing.T) {
	for _, c := range []Config{
		{Sources: 1}, {Sources: 1 << 21}, {Window: time.Second}, {Window: 24 * time.Hour}, {Sweep: 49},
		{Slow: 4}, {Slow: 17},
		{SlowWindow: time.Minute}, {SlowWindow: 1e18}, {ToolTrigger: 32}, {Prefix6: 47}, {Prefix6: 129},
		{UnprovenRate: -1}, {Flood: -1},
		{Decoys: Run}, {Distributed: Run}, {Blocks: -1}, {TCP: Policy{Trigger: [probe.Modes]int{32}}},
		{UDP: Policy{Trigger: [probe.Modes]int{-1}}},
	} {
		if _, err := New(c, 0); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
	w := newWorld(t, careful())
	if err := w.Reconfigure(Config{Slow: 40}); err == nil || w.cfg.Slow != 15 {
		t.Error("a refused configuration was taken over")
	}
}

// TestSlowWindowTurns: the half of the slow window in which a source was seen is kept modulo 256.
// After so many halves its ports are as old as they are.
func TestSlowWindowTurns(t *testing.T) {
	c := graded()
	c.SlowWindow = time.Hour
	w := newWorld(t, c)
	w.scan(1000, 9, time.Second)
	w.wait(256 * c.SlowWindow / 2)
	if d := w.send(port(2000)); d.Ports != 1 {
		t.Errorf("%d ports within an hour, all but one asked 128 hours ago", d.Ports)
	}
}

// TestTrapAfterBait: that a source asked for the same bait again does not hide its connection to a
// trap, nor the other way round.
func TestTrapAfterBait(t *testing.T) {
	trap := []option{mode(probe.Classic), is(probe.Connect), port(1), sport(50000), seq(0)}
	c := graded()
	c.Score = Dark
	c.TCP.Trigger[probe.Classic] = 1
	for _, first := range []bool{false, true} {
		w := newWorld(t, c)
		w.send()
		if first && !w.send(trap...).Observed.Has(probe.AsksTrap) {
			t.Error("a connection to the trap is not weighed")
		}
		w.wait(time.Hour)
		if !w.send().Observed.Has(probe.ComesAgain) {
			t.Errorf("bait asked for again is not weighed, after a trap %v", first)
		}
		if d := w.send(trap...); d.Observed.Has(probe.AsksTrap) == first {
			t.Errorf("a trap before %v: the connection shows %v", first, d.Observed)
		}
	}
}

// TestNoAction: a policy without an action books nothing.
func TestNoAction(t *testing.T) {
	c := careful()
	c.UDP.Action = None
	w := newWorld(t, c)
	for n := range 20 {
		d := w.send(port(n+1), is(probe.UDP))
		if d.Action != None || d.For != 0 || d.Offence != 0 || d.Source.IsValid() {
			t.Fatalf("probe %d: %v of %v for %v, offence %d", n+1, d.Action, d.Source, d.For, d.Offence)
		}
	}
	if s, _ := w.Describe(netip.MustParseAddr("198.51.100.7")); s.Offences != 0 {
		t.Errorf("%d offences", s.Offences)
	}
}
