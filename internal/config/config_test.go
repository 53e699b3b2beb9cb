// SPDX-License-Identifier: MIT

package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"picket/engine"
	"picket/examples"
	"picket/internal/probe"
	"picket/nft"
)

// TestReference: the embedded default is a valid file with every key.
func TestReference(t *testing.T) {
	d, faults := parse("picket.toml", examples.Reference)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if faults := new(Config).read(d); len(faults) > 0 {
		t.Fatal(faults)
	}
	probe := &document{files: []string{"x"}, values: map[string]any{}, places: map[string]place{}}
	asked := map[string]bool{}
	collect(t, probe, asked)
	for key := range asked {
		if d.places[key].line == 0 && key != "ip.trigger.classic" && key != "ip.trigger.stealth" &&
			key != "ip.classic" && key != "ip.stealth" {
			t.Errorf("the reference has no %s", key)
		}
	}
}

// collect records every key that each section reads.
func collect(t *testing.T, d *document, asked map[string]bool) {
	c := new(Config)
	top := d.top()
	sections := map[string]func(*section){
		"nflog": c.NFLOG.read, "detect": c.Detect.read, "ignore": c.Ignore.read, "block": c.Block.read,
		"trap": c.Trap.read, "door": c.Door.read, "inline": c.Inline.read,
		"run": c.Run.read, "route": c.Route.read, "hosts_deny": c.HostsDeny.read, "history": c.History.read,
		"resolve": c.Resolve.read, "origin": c.Origin.read, "forward": c.Forward.read,
		"evidence": c.Evidence.read, "notify": c.Notify.read, "metrics": c.Metrics.read,
		"tcp": func(s *section) { c.TCP.read(s, 1, 65535) },
		"udp": func(s *section) { c.UDP.read(s, 1, 65535) },
		"ip":  func(s *section) { c.IP.read(s, 0, 255) },
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		if name := f.Tag.Get("json"); f.Type.Kind() == reflect.Struct && sections[name] == nil {
			t.Errorf("section %s is not in this list", name)
		}
	}
	for name, read := range sections {
		s := top.section(name)
		read(s)
		for _, k := range s.known {
			asked[name+"."+k] = true
		}
	}
}

func TestParse(t *testing.T) {
	c, err := Parse("p.toml", []byte(`
dry_run = true
[tcp]
modes = ["advanced"]
action = "log"
trigger = 0
advanced = "1-10, 20,21"
[udp]
trigger = { stealth = 7 }
[ignore]
addresses = ["192.0.2.9/24", "2001:DB8::1"]
[block]
for = ["2s", "1d12h"]
unproven_rate = 7
[detect]
slow_window = "2d"
decoys = "block"
`))
	if err != nil {
		t.Fatal(err)
	}
	if !c.DryRun || c.TCP.Action != engine.Log || c.TCP.Trigger[probe.Stealth] != 0 ||
		c.TCP.Advanced.String() != "1-10,20-21" {
		t.Errorf("tcp: %+v", c.TCP)
	}
	if c.UDP.Trigger[probe.Stealth] != 7 ||
		c.UDP.Trigger[probe.Advanced] != Default().UDP.Trigger[probe.Advanced] {
		t.Errorf("a trigger that is not named must keep its default: %v", c.UDP.Trigger)
	}
	if got := c.Ignore.Addresses[0].String() + " " +
		c.Ignore.Addresses[1].String(); got != "192.0.2.0/24 2001:db8::1/128" {
		t.Errorf("addresses: %s", got)
	}
	if c.Block.For[1] != 36*time.Hour {
		t.Errorf("for: %v", c.Block.For)
	}
	if e := c.Engine(nil, 0, false); e.SlowWindow != 48*time.Hour || e.Decoys != engine.Block ||
		e.Distributed != engine.Log || e.UnprovenRate != 7 || len(e.UnprovenFor) != 1 ||
		e.UnprovenFor[0] != time.Hour {
		t.Errorf("engine: %+v", e)
	}
	if e := Default().Engine(nil, 0, false); len(e.UnprovenFor) != 3 || e.UnprovenFor[0] != 5*time.Minute {
		t.Errorf("default: %v", e.UnprovenFor)
	}
	if diff := cmp.Diff(Default().IP, c.IP); diff != "" {
		t.Errorf("a section left out must keep its defaults:\n%s", diff)
	}
}

// TestFaults: every message has its line, its key and its remedy.
func TestFaults(t *testing.T) {
	const file = `dry_run = "yes"
verbosity = 1
[nflog]
group = 70000
[tcp]
modes = ["stealthy"]
action = "blok"
trigger = { stealt = 1, advanced = 99 }
advanced = "0-10,x,9-3,,70000"
[udp]
trigger = "three"
exlude = "1"
[block]
for = ["1 hour"]
memory = "1s"
[ignore]
addresses = ["example.net", 7]
files = ["/proc/self/mem"]
[detect]
slow = 17
decoys = "run"
tool_triger = 3
[firewall]
`
	_, err := Parse("p.toml", []byte(file))
	want := []string{
		`p.toml:1: dry_run: is text: want true or false`,
		`p.toml:2: verbosity: is unknown: want one of dry_run, memory, nflog`,
		`p.toml:4: nflog.group: is 70000: want a whole number, 1 to 65535`,
		`p.toml:6: tcp.modes: holds "stealthy": want any of "classic" or "stealth" or "advanced"`,
		`p.toml:7: tcp.action: is "blok": want "log" or "block" or "run"`,
		`p.toml:8: tcp.trigger.advanced: is 99: want a whole number, 0 to 31`,
		`p.toml:8: tcp.trigger.stealt: is unknown: did you mean "tcp.trigger.stealth"?`,
		`p.toml:9: tcp.advanced: "0-10" is not in 1 to 65535, "x" is not in 1 to 65535, "9-3" ends before ` +
			`it begins, a comma too many, "70000" is not in 1 to 65535`,
		`p.toml:11: udp.trigger: is text: want a whole number, or a table`,
		`p.toml:12: udp.exlude: is unknown: did you mean "udp.exclude"?`,
		`p.toml:14: block.for: "1 hour" is no duration`,
		`p.toml:15: block.memory: is "1s": want 1m to 520w`,
		`p.toml:17: ignore.addresses: "example.net" is a name`,
		`p.toml:17: ignore.addresses: holds a whole number: want texts in quotes`,
		`p.toml:18: ignore.files: `,
		`p.toml:20: detect.slow: is 17: want a whole number, 5 to 16`,
		`p.toml:21: detect.decoys: is "run": want "log" or "block"`,
		`p.toml:22: detect.tool_triger: is unknown: did you mean "detect.tool_trigger"?`,
		`p.toml:23: firewall: is unknown`,
	}
	if err == nil {
		t.Fatal("no error")
	}
	got := strings.Split(err.Error(), "\n")
	if len(got) != len(want) {
		t.Errorf("%d faults, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("fault %d\ngot  %s\nwant %s", i, got[i], want[i])
		}
	}
}

func TestSyntaxFault(t *testing.T) {
	for _, text := range []string{"[tcp\n", "a = \n", "[tcp]\naction = block\n", "[tcp]\n[tcp]\n",
		"\xff = 1"} {
		_, err := Parse("p.toml", []byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), "p.toml:") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestElements(t *testing.T) {
	c, err := Parse("p.toml", []byte(`
[tcp]
modes = ["stealth", "advanced"]
trigger = { stealth = 2, advanced = 0 }
stealth = "7,2000"
advanced = "1-10"
exclude = "9"
[udp]
action = "log"
trigger = 0
`))
	if err != nil {
		t.Fatal(err)
	}
	e := c.Elements()
	trigger := func(from, to uint16, n int) nft.Trigger {
		return nft.Trigger{Range: nft.Range{From: from, To: to}, Ports: n}
	}
	want := []nft.Trigger{trigger(7, 7, 2), trigger(2000, 2000, 2), trigger(1, 6, 0), trigger(8, 8, 0),
		trigger(10, 10, 0)}
	if diff := cmp.Diff(want, e.TriggerTCP); diff != "" {
		t.Errorf("a port has the trigger of the mode that watches it, and none if it is excluded:\n%s", diff)
	}
	if e.TriggerUDP != nil || e.ClassicTCP != nil {
		t.Errorf("nothing is held for a log action, nothing watched for a mode that is off: %v %v",
			e.TriggerUDP, e.ClassicTCP)
	}
	for _, x := range e.TriggerIP {
		if x.Ports != 5 || x.From <= 6 && 6 <= x.To {
			t.Errorf("IP protocols without ports of their own have the trigger of [ip]: %v", x)
		}
	}
	if c.DryRun = true; c.Elements().TriggerTCP != nil || c.Elements().TriggerIP != nil {
		t.Error("a dry run must not hold")
	}
	for _, x := range []struct {
		protocol uint8
		port     uint16
		want     probe.Mode
	}{
		{probe.ProtocolTCP, 7, probe.Stealth}, {probe.ProtocolTCP, 8, probe.Advanced},
		{probe.ProtocolTCP, 9, 0},
		{probe.ProtocolSCTP, 2000, probe.Stealth}, {probe.ProtocolTCP, 11, 0}, {47, 47, 0},
		{99, 99, probe.Advanced},
		{probe.ProtocolICMP, 13 << 8, probe.Advanced},
	} {
		if got := c.Mode(x.protocol, x.port); got != x.want {
			t.Errorf("Mode(%d, %d) = %v, want %v", x.protocol, x.port, got, x.want)
		}
	}
}

// FuzzParse: any text is a configuration for the engine, the same when parsed
// again, or faults with the file's name.
func FuzzParse(f *testing.F) {
	f.Add(string(examples.Reference))
	f.Add("[tcp]\ntrigger = 0\nadvanced = \"1-1023\"\n")
	f.Add("[tcp]\ntrigger = { classic = 0 }\nmodes = []\n[block]\nfor = [\"1w2d3h4m\"]\n")
	f.Add("[ignore]\naddresses = [\"::ffff:192.0.2.1\", \"0.0.0.0/0\"]\n")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "files") {
			return // it would read the named file
		}
		c, err := Parse("f.toml", []byte(text))
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if strings.HasPrefix(line, "f.toml") {
					return
				}
			}
			t.Fatalf("an error without a place: %v", err)
		}
		if _, err := engine.New(c.Engine(c.Ignore.Addresses, 0, false), 1); err != nil {
			t.Fatalf("the engine refuses what parsed: %v", err)
		}
		for _, d := range c.Block.For {
			if again, err := ParseDuration(Duration(d).String()); err != nil || time.Duration(again) != d {
				t.Fatalf("%v is written %q and read %v, %v", d, Duration(d), again, err)
			}
		}
		if again, err := ParsePorts(c.TCP.Advanced.String(), 1, 65535); err != nil ||
			again.String() != c.TCP.Advanced.String() {
			t.Fatalf("ports %v are read back as %v, %v", c.TCP.Advanced, again, err)
		}
	})
}

// TestExampleRuleset: examples/ruleset.nft is the output of "picket ruleset"
// without a configuration.
func TestExampleRuleset(t *testing.T) {
	got, err := os.ReadFile("../../examples/ruleset.nft")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(nft.Ruleset(Default().Table()), string(got)); diff != "" {
		t.Errorf("run \"picket ruleset >examples/ruleset.nft\" (-want +got):\n%s", diff)
	}
}

// TestDurationFaults: a word without a duration is one fault, too long a duration another.
func TestDurationFaults(t *testing.T) {
	for text, want := range map[string]string{
		"ever": "no duration", "": "no duration", "10": "no duration", "1 hour": "no duration",
		"-1h": "no duration", "0s": "no duration", "dd": "no duration",
		"100000d": "too long", "36501d": "too long", "15000w": "too long", "60000w": "too long",
		"9999999h": "too long", "30000w1h99999999999999999999s": "too long",
	} {
		if d, err := ParseDuration(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v; want %s", text, d, err, want)
		}
	}
	if _, err := ParseDuration("36500d"); err != nil {
		t.Error(err)
	}
}

// TestAddressesAreReadAsThoseOfFiles: an entry is right or wrong for one
// reason, in the file itself and in a list.
func TestAddressesAreReadAsThoseOfFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "list")
	for entry, why := range map[string]string{
		"192.0.2.9/24":         "",
		"::ffff:192.0.2.0/120": "",
		"0.0.0.0/0":            "is every address there is: name those that are meant",
		"::/0":                 "is every address there is: name those that are meant",
		"::ffff:0.0.0.0/96":    "is every address there is: name those that are meant",
		"::ffff:0.0.0.0/90":    "is wider than the IPv4-mapped addresses",
		"fe80::1%eth0":         "has an interface behind %",
		"gw.example.net":       "is a name: write its addresses",
	} {
		if err := os.WriteFile(file, []byte(entry+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{`addresses = ["` + entry + `"]`, `files = ["` + file + `"]`} {
			c, err := Parse("p.toml", []byte("[ignore]\n"+key+"\n"))
			switch {
			case why == "" && (err != nil || len(c.Ignore.Addresses) != 1 ||
				c.Ignore.Addresses[0].String() != "192.0.2.0/24"):
				t.Errorf("%s: %v, want 192.0.2.0/24", key, err)
			case why != "" && (err == nil || !strings.Contains(err.Error(), `"`+entry+`" `+why)):
				t.Errorf("%s: %v, want that it %s", key, err, why)
			}
		}
	}
	if p, ok := ParseSource("::ffff:192.0.2.0/120"); !ok || p.String() != "192.0.2.0/24" {
		t.Errorf("a source on the command line: %v", p)
	}
}

// TestWords: each word of the file has a type and is written as it was read.
func TestWords(t *testing.T) {
	c, err := Parse("p.toml", []byte(`
[tcp]
modes = ["stealth", "advanced", "stealth"]
action = "run"
trigger = { stealth = 7 }
[run]
command = ["/bin/true"]
when = "before"
[route]
type = "prohibit"
[history]
format = "portsentry-2"
[[known]]
name = "a"
policy = "ignore"
addresses = ["192.0.2.1"]
`))
	if err != nil {
		t.Fatal(err)
	}
	if c.TCP.Modes.Has(probe.Classic) || !c.TCP.Modes.Has(probe.Stealth) ||
		c.TCP.Modes.Without(probe.Stealth).Has(probe.Stealth) {
		t.Errorf("modes %v", c.TCP.Modes.Names())
	}
	for want, value := range map[string]any{
		`["advanced","stealth"]`: c.TCP.Modes,
		`[]`:                     Modes(0),
		`{"advanced":25,"classic":1,"stealth":7}`: c.TCP.Trigger,
		`"run"`:                  c.TCP.Action,
		`"log"`:                  c.Detect.Decoys,
		`"before"`:               c.Run.When,
		`"after"`:                Default().Run.When,
		`"prohibit"`:             c.Route.Type,
		`""`:                     Default().Route.Type,
		`"portsentry-2"`:         c.History.Format,
		`"ignore"`:               c.Known[0].Policy,
		`"block"`:                PolicyBlock,
		`["10m","1h","1d","1w"]`: c.Block.For,
	} {
		if got, err := json.Marshal(value); err != nil || string(got) != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
}
