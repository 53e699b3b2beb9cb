// SPDX-License-Identifier: MIT

package config

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"picket/engine"
	"picket/internal/event"
)

func TestKnown(t *testing.T) {
	file := filepath.Join(t.TempDir(), "censys")
	if err := os.WriteFile(file, []byte("198.51.100.0/24 # scanners\n2001:db8:1::/48\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Parse("p.toml", []byte(`
[[known]]
name = "censys"
files = ["`+file+`"]
policy = "block"
[[known]]
name = "monitoring_2"
addresses = ["203.0.113.7"]
policy = "ignore"
[[known]]
name = "auditor"
addresses = ["203.0.113.0/24"]
policy = "log"
`))
	if err != nil {
		t.Fatal(err)
	}
	lists := c.Engine(nil, 0, false).Known
	if len(lists) != 3 || lists[0].Name != "censys" || lists[0].Action != engine.Block || !lists[0].First ||
		lists[1].Action != engine.None || lists[1].First || lists[2].Action != engine.Log || lists[2].First {
		t.Errorf("%+v", lists)
	}
	if !lists[0].Prefixes.Contains(netip.MustParseAddr("198.51.100.9")) ||
		!lists[0].Prefixes.Contains(netip.MustParseAddr("2001:db8:1::9")) {
		t.Errorf("the file of %+v was not read", lists[0])
	}
	for address, want := range map[string]string{"203.0.113.7": "monitoring_2", "203.0.113.8": "auditor",
		"2001:db8:1::9": "censys", "192.0.2.1": ""} {
		if k, ok := c.ListOf(netip.MustParseAddr(address)); k.Name != want || ok != (want != "") {
			t.Errorf("%s is in %q, want %q", address, k.Name, want)
		}
	}
	// The same, written as an array of inline tables.
	c, err = Parse("p.toml", []byte(`known = [ { name = "a", addresses = ["192.0.2.1"], policy = "log" } ]`))
	if err != nil || len(c.Known) != 1 || c.Known[0].Name != "a" {
		t.Errorf("%v, %+v", err, c)
	}
}

func TestKnownFaults(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(bad, []byte("192.0.2.1\n0.0.0.0/0\nexample.org\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Parse("p.toml", []byte(`[[known]]
name = "Censys"
addresses = ["192.0.2.1"]
policy = "log"
[[known]]
name = "a"
files = ["`+bad+`"]
policy = "reject"
[[known]]
name = "a"
polizy = "log"
[[known]]
policy = "block"
addresses = ["::/0", "example.org"]
[[known]]
name = 7
addresses = ["192.0.2.1"]
policy = "log"
`))
	want := []string{
		`p.toml:2: known.name: is "Censys": want a word in small letters`,
		`p.toml:7: known.files: list a: ` + bad + `: line 2: "0.0.0.0/0" is every address`,
		`p.toml:7: known.files: list a: ` + bad + `: line 3: "example.org" is a name`,
		`p.toml:8: known.policy: is "reject": want "ignore" or "log" or "block" or "drop"`,
		`p.toml:9: known.policy: is missing: want "ignore" or "log" or "block" or "drop"`,
		`p.toml:9: known.files: and addresses are both empty`,
		`p.toml:10: known.name: is "a", and so is another one's`,
		`p.toml:11: known.polizy: is unknown: did you mean "known.policy"?`,
		`p.toml:12: known.name: is missing`,
		`p.toml:14: known.addresses: "::/0" is every address there is: name those that are meant`,
		`p.toml:14: known.addresses: "example.org" is a name`,
		`p.toml:16: known.name: is a whole number: want a word`,
	}
	if err == nil {
		t.Fatal("no error")
	}
	got := strings.Split(err.Error(), "\n")
	if len(got) != len(want) {
		t.Errorf("%d faults, want %d:\n%s", len(got), len(want), err)
	}
	for i := range min(len(got), len(want)) {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("fault %d\ngot  %s\nwant %s", i, got[i], want[i])
		}
	}
	for text, want := range map[string]string{
		"known = 3":             "p.toml:1: known: is a whole number: want tables, [[known]]",
		"[known]\nname = \"a\"": "p.toml:1: known: is a table: want tables, [[known]]",
		"known = [3]":           "p.toml:1: known: holds a whole number: want tables, [[known]]",
		"known = [ { name = \"a\", addresses = [\"192.0.2.1\"],\n policy = 3 } ]": "p.toml:2: " +
			"known.policy: is a whole number",
		strings.Repeat("[[known]]\nname = \"a\"\npolicy = \"log\"\naddresses = [\"192.0.2.1\"]\n",
			65): "p.toml:1: known: there are 65 lists: want at most 64",
	} {
		if _, err := Parse("p.toml", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// TestKnownWithoutItsFile: without a list of friends nothing runs; without a list
// to block it does.
func TestKnownWithoutItsFile(t *testing.T) {
	for policy, runnable := range map[string]bool{"ignore": false, "log": false, "block": true} {
		c, err := Parse("p.toml", []byte("[[known]]\nname = \"a\"\nfiles = [\"/nonexistent/list\"]\n"+
			"policy = \""+policy+"\"\n"))
		if err != nil || len(c.Warnings) != 1 || c.Warnings[0].Line != 3 {
			t.Errorf("%s: %v", policy, err)
			continue
		}
		if err := c.Runnable(); (err == nil) != runnable || !runnable && !errors.As(err, new(Faults)) {
			t.Errorf("%s: %v", policy, err)
		}
	}
}

func TestOriginFaults(t *testing.T) {
	text := filepath.Join(t.TempDir(), "list.csv")
	if err := os.WriteFile(text, []byte("192.0.2.0/24,NL\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Parse("p.toml", []byte("[origin]\ncountry = \""+text+"\"\nnetwork = \"GeoLite2-ASN.mmdb\"\n"))
	want := "p.toml:2: origin.country: read database " + text + ": no database in MaxMind's format (.mmdb)"
	if err == nil || !strings.HasPrefix(err.Error(), want) ||
		!strings.Contains(err.Error(),
			`p.toml:3: origin.network: is "GeoLite2-ASN.mmdb": want a full path, `+
				`"/var/lib/GeoIP/network.mmdb" for instance`) {
		t.Errorf("%v, want %s", err, want)
	}
	c, err := Parse("p.toml", []byte("[origin]\ncountry = \"/nonexistent/country.mmdb\"\n"))
	if err != nil || c.Runnable() != nil || len(c.Warnings) != 1 || c.Warnings[0].Line != 2 {
		t.Errorf("a database that is not there is a warning: %v, %v", err, c)
	}
	var ev event.Event
	if c.Locate(&ev, netip.MustParseAddr("192.0.2.1")); ev.Country != "" || ev.ASN != 0 {
		t.Errorf("%+v", ev)
	}
}

// TestDropLists: a list to drop goes into the kernel's sets, in a dry run it does not.
func TestDropLists(t *testing.T) {
	const text = "[[known]]\nname = \"a\"\npolicy = \"drop\"\naddresses = [\"192.0.2.0/24\"]\n[[known]]\n" +
		"name = \"b\"\npolicy = \"drop\"\naddresses = [\"198.51.100.7\"]\n"
	c, err := Parse("p.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if e := c.Elements(); len(e.Listed) != 2 || &e.Listed[0] != &c.Elements().Listed[0] {
		t.Errorf("%v", e.Listed)
	}
	if known := c.Engine(nil, 0, false).Known; len(known) != 0 {
		t.Errorf("what the kernel drops is the engine's too: %+v", known)
	}
	c.NoRules = true
	if k := c.Engine(nil, 0, false).Known[0]; k.Action != engine.Block || !k.First {
		t.Errorf("in a capture: %+v", k)
	}
	if c.DryRun = true; c.Elements().Listed != nil {
		t.Error("a dry run drops")
	}
	_, err = Parse("p.toml", []byte("[[known]]\nname = \"a\"\npolicy = \"drop\"\n"+
		"addresses = [\"10.0.0.0/7\", \"2001:db8::/19\", \"2001:db8::/96\", \"2001:db8::/61\"]\n"))
	if err == nil || strings.Count(err.Error(), "\n") != 2 ||
		!strings.HasPrefix(err.Error(),
			"p.toml:3: known.policy: is \"drop\", and 10.0.0.0/7 is wider than what a list may drop, /8") {
		t.Error(err)
	}
}
