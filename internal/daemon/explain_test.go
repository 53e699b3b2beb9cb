// SPDX-License-Identifier: MIT

package daemon

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"picket/engine"
	"picket/internal/config"
	"picket/internal/control"
	"picket/internal/event"
	"picket/internal/evidence"
)

// explaining is what is known of a source that has sent probes, each with a
// decision; the last came a minute ago.
func explaining(t *testing.T, source string, decisions ...engine.Decision) *explainer {
	t.Helper()
	p, ok := config.ParseSource(source)
	if !ok {
		t.Fatal(source)
	}
	c, err := config.Parse("p.toml", []byte("[[known]]\nname = \"mine\"\npolicy = \"log\"\naddresses = [\"192.0.2.77\"]\n"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.Local)
	x := &explainer{Explanation: &control.Explanation{Source: event.SourceName(p)}, asked: p, config: c, now: now}
	for i, d := range decisions {
		at := now.Add(time.Duration(i-len(decisions)) * time.Minute)
		x.kept = append(x.kept, evidence.Probe{Decision: d, Probe: engine.Probe{
			At: at.UnixNano(), Source: p.Addr(), Destination: netip.MustParseAddr("192.0.2.2"), Protocol: engine.ProtocolTCP, Port: 23, Mode: engine.Advanced, Technique: engine.SYN,
		}})
		x.Probes = append(x.Probes, control.KeptProbe{Config: "tcp.trigger.advanced = 25"})
	}
	return x
}

// What is said of somebody, and what would change it.
func TestSay(t *testing.T) {
	block := func(p string) control.InForce {
		return control.InForce{Block: control.Block{Source: netip.MustParsePrefix(p), Name: event.SourceName(netip.MustParsePrefix(p))}}
	}
	for _, test := range []struct {
		name         string
		x            *explainer
		with         func(*explainer)
		state, says  string
		why, change  []string
		notWhy, once string
	}{
		{
			name: "a decoy", x: explaining(t, "192.0.2.7", engine.Decision{Reason: engine.IsDecoy, Pattern: engine.Decoy, Sources: 3, Trigger: 25}),
			state: "spared", says: "192.0.2.7 is not blocked.", why: []string{"3 sources sent the same packet"},
			change: []string{"by a connection to a trap port (tcp.trigger.classic = 0), or at 26 ports that the others do not probe (tcp.trigger.advanced = 25)", `detect.decoys = "block"`},
		},
		{
			name: "one of a list", x: explaining(t, "192.0.2.77", engine.Decision{Reason: engine.BelowTrigger, Within: 1, Trigger: 25}),
			with:  func(x *explainer) { x.List = &control.List{Name: "mine", Policy: "log"} },
			state: "watched", once: "list mine", why: []string{`(known.mine.policy = "log")`}, change: []string{"Taken off the list mine"},
		},
		{
			name: "nobody", x: explaining(t, "192.0.2.7"), state: "unknown", says: "no probe of it is known", change: []string{"above a limit"},
		},
		{
			name: "a prefix with blocks inside", x: explaining(t, "198.51.100.0/24"),
			with: func(x *explainer) {
				x.many, x.Blocks = true, []control.InForce{block("198.51.100.14/32"), block("198.51.100.12/32")}
			},
			state: "unknown", says: "198.51.100.0/24 is not blocked as a whole.", notWhy: "no probe",
			why: []string{"Blocked inside it: 198.51.100.14, 198.51.100.12", "ask for an address"}, change: []string{`"picket block 198.51.100.0/24"`},
		},
		{
			name: "a prefix with sources inside", x: explaining(t, "198.51.100.0/24"),
			with: func(x *explainer) {
				x.many = true
				for i := range byte(10) {
					x.inside = append(x.inside, engine.Source{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, i}), 32), Probes: uint32(i)})
				}
			},
			state: "watched", why: []string{"198.51.100.0 (0 probes), 198.51.100.1 (1 probe), ", "and 2 more"},
		},
		{
			name: "a prefix without anybody", x: explaining(t, "198.51.100.0/24"), with: func(x *explainer) { x.many = true },
			state: "unknown", why: []string{"None of the 256 sources that were seen last"},
		},
		{
			name: "logged, and probing on", x: explaining(t, "192.0.2.7",
				engine.Decision{Reason: engine.AboveTrigger, Action: engine.Log, Within: 26, Trigger: 25}, engine.Decision{Reason: engine.AlreadyReacted, Within: 32, Trigger: 25}),
			with:  func(x *explainer) { x.config.TCP.Action = engine.Log },
			state: "watched", why: []string{"26 different ports inside the window, 25 let pass (tcp.trigger.advanced = 25). That was told at 2026-11-22 11:58:00.", `tcp.action = "log"`},
			change: []string{`With tcp.action = "block", who is above a limit is blocked.`}, notWhy: "32 different",
		},
		{
			name: "of a prefix whose other address was blocked", x: explaining(t, "2001:db8:0:1::9",
				engine.Decision{Reason: engine.AboveTrigger, Action: engine.Block, Within: 26, Trigger: 25, For: time.Hour, Source: netip.MustParsePrefix("2001:db8:0:1::1/128")}),
			state: "watched", why: []string{"2001:db8:0:1::1, which is of the same source, was blocked at"}, notWhy: "It was blocked", change: []string{"Its next probe may get it blocked as well"},
		},
		{
			name: "a block that was ended", x: explaining(t, "192.0.2.7",
				engine.Decision{Reason: engine.AboveTrigger, Action: engine.Block, Within: 26, Trigger: 25, For: time.Hour, Offence: 2, Source: netip.MustParsePrefix("192.0.2.7/32")}),
			state: "watched", why: []string{"and that was ended: by hand", "That was for: 26 different ports"}, change: []string{"the next block is its 3rd"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.with != nil {
				test.with(test.x)
			}
			test.x.say()
			why, change := strings.Join(test.x.Why, "\n"), strings.Join(test.x.Change, "\n")
			if test.x.State != test.state || !strings.Contains(test.x.Summary, test.says) {
				t.Errorf("%s: %s", test.x.State, test.x.Summary)
			}
			for _, w := range test.why {
				if !strings.Contains(why, w) {
					t.Errorf("why lacks %q:\n%s", w, why)
				}
			}
			for _, w := range test.change {
				if !strings.Contains(change, w) {
					t.Errorf("change lacks %q:\n%s", w, change)
				}
			}
			if test.notWhy != "" && strings.Contains(test.x.Summary+why, test.notWhy) || test.once != "" && strings.Count(why, test.once) != 1 {
				t.Errorf("why:\n%s", why)
			}
		})
	}
}

// Of several blocks of one prefix, each has the probe and the offence that are
// its own.
func TestBlockHasItsOwnProbe(t *testing.T) {
	reacted := func(offence int, source string) engine.Decision {
		return engine.Decision{Reason: engine.AboveTrigger, Action: engine.Block, Within: 26, Trigger: 25, Offence: offence, Source: netip.MustParsePrefix(source)}
	}
	x := explaining(t, "2001:db8:0:1::1", reacted(1, "2001:db8:0:1::1/128"), reacted(3, "2001:db8:0:1::/64"))
	x.Known = &control.Known{Offences: 3}
	x.Blocks = []control.InForce{{Block: control.Block{Source: netip.MustParsePrefix("2001:db8:0:1::1/128"), Name: "2001:db8:0:1::1", Technique: "syn", Since: x.now, Expires: x.now.Add(time.Hour)}}}
	x.say()
	if why := strings.Join(x.Why, "\n"); !strings.Contains(why, "for 1h: its 1st block, and the address may be forged") {
		t.Error(why)
	}
}

// A block is told of alike by "blocks" and "explain", with all that is known of it.
func TestBlockIsToldAlike(t *testing.T) {
	x := explaining(t, "192.0.2.7")
	p := netip.MustParsePrefix("192.0.2.7/32")
	ev := event.Event{
		Reason: "above the trigger", Evidence: "26 different ports", Pattern: "portscan", Technique: "syn", Proven: true, Known: "mine", Country: "NL",
		Config: "tcp.trigger.advanced = 25", Protocol: "tcp", Port: 23,
	}
	b := &blocker{book: map[netip.Prefix]*entry{p: {source: p, since: x.now.Add(-time.Minute), until: x.now.Add(90*time.Second + 1), event: ev}}}
	want := control.Block{
		Source: p, Name: "192.0.2.7", Since: x.now.Add(-time.Minute), Expires: x.now.Add(90*time.Second + 1), Remaining: 91,
		Reason: "above the trigger", Evidence: "26 different ports", Pattern: "portscan", Technique: "syn", Proven: true, Known: "mine", Country: "NL",
	}
	x.booked(b)
	if list := b.list(x.now); len(list) != 1 || list[0] != want {
		t.Errorf("blocks: %+v, want %+v", list, want)
	}
	if len(x.Blocks) != 1 || x.Blocks[0].Block != want || x.Blocks[0].Config != ev.Config || x.Blocks[0].Port != 23 {
		t.Errorf("explain: %+v, want %+v", x.Blocks, want)
	}
	if over := b.book[p].block(x.now.Add(time.Hour)); over.Remaining != 0 {
		t.Errorf("a block that has ended has %d s left", over.Remaining)
	}
}
