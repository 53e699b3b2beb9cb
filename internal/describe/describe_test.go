// SPDX-License-Identifier: MIT

package describe

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"picket/engine"
	"picket/internal/config"
	"picket/internal/event"
	"picket/internal/probe"
)

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("p.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func synTo(port uint16) probe.Probe {
	return probe.Probe{
		At:     time.Date(2026, 11, 22, 12, 0, int(port), 0, time.UTC).UnixNano(),
		Source: netip.MustParseAddr("203.0.113.9"), Destination: netip.MustParseAddr("192.0.2.2"),
		Protocol: probe.ProtocolTCP, SourcePort: 4711, Port: port, Flags: probe.FlagSYN, Technique: probe.SYN,
		Mode: probe.Stealth,
	}
}

// Every reason names the setting to change for another decision.
func TestSetting(t *testing.T) {
	p, udp, sctp, other := synTo(23), synTo(23), synTo(23), synTo(23)
	udp.Protocol, sctp.Protocol, other.Protocol = probe.ProtocolUDP, 132, 47
	list := `[[known]]
name = "mine"
policy = "log"
addresses = ["203.0.113.9"]`
	for _, test := range []struct {
		text string
		p    probe.Probe
		d    engine.Decision
		want string
	}{
		{"", p, engine.Decision{Reason: engine.AboveTrigger, Trigger: 25}, "tcp.trigger.stealth = 25"},
		{"", udp, engine.Decision{Reason: engine.BelowTrigger, Trigger: 3}, "udp.trigger.stealth = 3"},
		{"", sctp, engine.Decision{Reason: engine.BelowTrigger, Trigger: 3}, "tcp.trigger.stealth = 3"},
		{"", other, engine.Decision{Reason: engine.BelowTrigger, Trigger: 3}, "ip.trigger.stealth = 3"},
		{"", p, engine.Decision{Reason: engine.AboveTrigger, Trigger: 5, Lowered: true},
			"detect.tool_trigger = 5"},
		{"dry_run = true", p, engine.Decision{Reason: engine.AboveTrigger},
			"tcp.trigger.stealth = 0, dry_run = true"},
		{"[detect]\nsweep = 7", p, engine.Decision{Reason: engine.AboveSweep}, "detect.sweep = 7"},
		{"[detect]\nslow = 12\nslow_window = \"2d\"", p, engine.Decision{Reason: engine.AboveSlow},
			`detect.slow = 12, detect.slow_window = "2d"`},
		{"", p, engine.Decision{Reason: engine.PartOfScan}, `detect.distributed = "log"`},
		{"", p, engine.Decision{Reason: engine.IsDecoy}, `detect.decoys = "log"`},
		{"[detect]\nflood = 123", p, engine.Decision{Reason: engine.InFlood}, "detect.flood = 123"},
		{"[detect]\nflood = 123", p, engine.Decision{Reason: engine.Backscatter, Pattern: engine.Flood},
			"detect.flood = 123"},
		{"[block]\nunproven_rate = 17", p, engine.Decision{Reason: engine.TooMany},
			"block.unproven_rate = 17"},
		{"", p, engine.Decision{Reason: engine.IsConnected}, "ignore.connected = true"},
		{"[inline]\nports = \"open\"", probe.Probe{Protocol: probe.ProtocolTCP},
			engine.Decision{Reason: engine.Turned, Action: engine.Fence}, `inline.ports = "open"`},
		{"[block]\nmax = 1234", p, engine.Decision{Reason: engine.Full}, "block.max = 1234"},
		{"dry_run = true", p, engine.Decision{Reason: engine.Backscatter}, ""},
		{"", p, engine.Decision{Reason: engine.LateAnswer}, ""},
		{"", p, engine.Decision{Reason: engine.Handshake}, ""},
		{list, p, engine.Decision{Reason: engine.AboveTrigger, Known: "mine", Action: engine.Log},
			`known.mine.policy = "log"`},
		{list, p, engine.Decision{Reason: engine.KnownFirst, Known: "mine"}, `known.mine.policy = "log"`},
		{list, p, engine.Decision{Reason: engine.BelowTrigger, Known: "mine", Trigger: 25},
			"tcp.trigger.stealth = 25"},
	} {
		if got := Setting(parse(t, test.text), &test.p, &test.d); got != test.want {
			t.Errorf("%v with %q: got %q, want %q", test.d.Reason, test.text, got, test.want)
		}
	}
}

// The event of a probe that blocks has everything known of it.
func TestEvent(t *testing.T) {
	c := parse(t, "[tcp]\ntrigger = 1\n[block]\nstyle = \"graded\"")
	e, err := engine.New(c.Engine(nil, 0, false), 1)
	if err != nil {
		t.Fatal(err)
	}
	first := synTo(23)
	d := e.Observe(first)
	ev := Event(c, e, &first, &d)
	if ev.Event != "probe" || ev.Action != "none" {
		t.Errorf("the first probe is told as %+v", ev)
	}
	p := synTo(25)
	d = e.Observe(p)
	got := Event(c, e, &p, &d)
	want := event.Event{
		Event: "block", Time: time.Unix(0, p.At), Source: "203.0.113.9", Destination: p.Destination,
		Protocol: "tcp", Port: 25, SourcePort: 4711,
		Mode: "stealth", Technique: "syn", Flags: "syn", Probes: 2, PortsSeen: 2, TargetsSeen: 1,
		Ports: []string{"tcp/23", "tcp/25"},
		First: time.Unix(0, first.At), Last: time.Unix(0, p.At), Action: "fence", For: event.Seconds(d.For),
		Reason: "above the trigger", Evidence: "2 different ports inside the window, 1 let pass",
		Config: "tcp.trigger.stealth = 1",
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}), cmpopts.IgnoreFields(event.Event{},
		"Pattern")); diff != "" {
		t.Error(diff)
	}
	if d.For == 0 {
		t.Error("blocked for no time")
	}
}

// The probe of a spared source is the event "ignore", not "probe".
func TestSparedIsIgnored(t *testing.T) {
	c := parse(t, "")
	e, err := engine.New(c.Engine(nil, 0, false), 1)
	if err != nil {
		t.Fatal(err)
	}
	p := synTo(23)
	for _, r := range []engine.Reason{engine.IsConnected, engine.IsProtected} {
		if ev := Event(c, e, &p, &engine.Decision{Reason: r}); ev.Event != "ignore" {
			t.Errorf("%v is told as %q", r, ev.Event)
		}
	}
}

// The event of a pattern has its evidence. A pattern of many sources names none of them.
func TestPattern(t *testing.T) {
	ev := event.Event{
		Event: "block", Time: time.Unix(1, 0), Source: "203.0.113.0/24", Protocol: "tcp", Port: 23,
		Pattern: "portscan", Tool: "nmap", Proven: true,
		Action: "block", For: 5, Reason: "above the trigger", Evidence: "2 ports",
		Config: "tcp.trigger.stealth = 1",
	}
	p := synTo(23)
	alone := Pattern(&p, ev, &engine.Decision{Pattern: engine.PortScan})
	want := ev
	want.Source = "203.0.113.9" // without the prefix blocked with it
	want.Event, want.Action, want.For, want.Reason, want.Evidence = "pattern", "none", 0, "2 ports", ""
	if diff := cmp.Diff(want, alone, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Error(diff)
	}
	together := Pattern(&p, ev, &engine.Decision{Pattern: engine.Distributed})
	want = event.Event{Event: "pattern", Time: ev.Time, Pattern: "portscan", Tool: "nmap", Action: "none",
		Reason: "2 ports", Config: ev.Config}
	if diff := cmp.Diff(want, together, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Error(diff)
	}
}
