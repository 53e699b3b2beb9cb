// SPDX-License-Identifier: MIT

package engine

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"picket/internal/probe"
)

// known is the careful policy with two lists of known sources. 198.51.100.7, the usual source of
// the tests, is in the second.
func known(list string, action Action, first bool) Config {
	c := careful()
	c.Known = []Known{
		{Name: "first", Prefixes: NewPrefixes(netip.MustParsePrefix("203.0.113.0/25")), Action: Log},
		{Name: list, Prefixes: NewPrefixes(netip.MustParsePrefix("198.51.100.0/24"),
			netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8:0:1::1/128")),
			Action: action, First: first},
	}
	return c
}

func TestKnownIgnored(t *testing.T) {
	w := newWorld(t, known("monitoring", None, false))
	for i := range 100 {
		if d := w.send(port(i + 1)); d.Action != None || d.Reason != KnownIgnored || d.Tell ||
			d.Known != "monitoring" {
			t.Fatalf("probe %d: %+v", i, d)
		}
	}
	if _, there := w.Describe(netip.MustParseAddr("198.51.100.7")); there {
		t.Error("it took the place of a source")
	}
	if n := w.Lists()["monitoring"]; n != 100 {
		t.Errorf("%d counted, want 100", n)
	}
	// The kernel held it if the port was hot.
	c := known("monitoring", None, false)
	c.TCP.Trigger = [probe.Modes]int{}
	if d := newWorld(t, c).send(); !d.Release {
		t.Error("it was not released")
	}
	// Others are judged as usual.
	_, n := w.scan(100, 40, time.Second, from("192.0.2.99"))
	if n != 11 {
		t.Errorf("a stranger was reacted to at probe %d, want 11", n)
	}
}

func TestKnownLogged(t *testing.T) {
	w := newWorld(t, known("censys", Log, false))
	d, n := w.scan(1, 40, time.Second)
	if n != 11 || d.Action != Log || d.Known != "censys" || d.For == 0 {
		t.Errorf("reacted to probe %d by %+v, want log at the 11th", n, d)
	}
	if d, n := w.scan(1, 40, time.Second, from("203.0.113.1")); n != 11 || d.Known != "first" {
		t.Errorf("of two lists the first counts: probe %d, %+v", n, d)
	}
	// A neighbour in its prefix is blocked, the prefix is not.
	for _, a := range []string{"2001:db8:0:1::9", "2001:db8:0:1::a", "2001:db8:0:1::b", "2001:db8:0:1::c"} {
		d, n := w.scan(1, 40, time.Second, from(a), at("2001:db8::2"))
		if n == 0 || d.Action != Block || !d.Source.IsSingleIP() {
			t.Errorf("%s: %+v", a, d)
		}
	}
}

func TestKnownBlockedAtOnce(t *testing.T) {
	w := newWorld(t, known("shodan", Block, true))
	d := w.send()
	w.blocks(d)
	if d.Reason != KnownFirst || d.Evidence() != "list shodan" || d.For == 0 {
		t.Errorf("%+v", d)
	}
	// A protocol that is only logged, or a flood, changes nothing.
	c := known("shodan", Block, true)
	c.TCP.Action, c.Flood = Log, 1
	w = newWorld(t, c)
	for i := range byte(10) {
		w.send(from(netip.AddrFrom4([4]byte{192, 0, 2, 100 + i}).String()))
	}
	if !w.Flooding(w.at) {
		t.Fatal("no flood")
	}
	w.blocks(w.send())
	// Friends and peers come first.
	c = known("shodan", Block, true)
	c.Protected = NewPrefixes(netip.MustParsePrefix("198.51.100.7/32"))
	w = newWorld(t, c)
	w.spares(w.send(), IsProtected)
	w = newWorld(t, known("shodan", Block, true))
	w.SetConnected(NewPrefixes(netip.MustParsePrefix("198.51.100.7/32")))
	w.spares(w.send(), IsConnected)
	// A dry run logs at the first probe.
	if d := newWorld(t, known("shodan", Log, true)).send(); d.Action != Log || d.Reason != KnownFirst {
		t.Errorf("dry run: %+v", d)
	}
}

func TestSpared(t *testing.T) {
	c := known("censys", Log, false)
	c.Protected = NewPrefixes(netip.MustParsePrefix("192.0.2.1/32"))
	for text, want := range map[string]bool{"192.0.2.0/24": true, "192.0.2.2/32": false,
		"198.51.100.7/32": true, "2001:db8:0:1::/64": true, "2001:db8:0:2::/64": false} {
		if got := c.Spared(netip.MustParsePrefix(text)); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	if c := known("shodan", Block, true); c.Spared(netip.MustParsePrefix("198.51.100.7/32")) {
		t.Error("a list that is to be blocked is spared")
	}
}

func TestRecent(t *testing.T) {
	w := newWorld(t, careful())
	if r := w.Recent(5); len(r) != 0 {
		t.Errorf("nobody was seen: %v", r)
	}
	for _, a := range []string{"192.0.2.50", "2001:db8:7::1", "192.0.2.51", "192.0.2.50", "192.0.2.52"} {
		w.send(from(a))
		w.wait(time.Second)
	}
	var got []string
	for _, s := range w.Recent(3) {
		got = append(got, s.Prefix.String())
	}
	if want := "192.0.2.52/32 192.0.2.50/32 192.0.2.51/32"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
	if r := w.Recent(9); len(r) != 4 || r[3].Prefix.String() != "2001:db8:7::/64" || r[1].Probes != 2 {
		t.Errorf("%+v", r)
	}
}
