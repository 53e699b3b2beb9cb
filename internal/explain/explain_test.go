// SPDX-License-Identifier: MIT

package explain

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"picket/engine"
	"picket/internal/config"
	"picket/internal/control"
	"picket/internal/event"
	"picket/internal/evidence"
	"picket/internal/probe"
)

// facts are those of a source that has sent probes, each with a decision; the
// last came a minute ago.
func facts(t *testing.T, source string, decisions ...engine.Decision) *Facts {
	t.Helper()
	p, ok := config.ParseSource(source)
	if !ok {
		t.Fatal(source)
	}
	c, err := config.Parse("p.toml", []byte("[[known]]\nname = \"mine\"\npolicy = \"log\"\n"+
		"addresses = [\"192.0.2.77\"]\n"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.Local)
	f := &Facts{Asked: p, Source: p, Config: c, Now: now, Recent: 256}
	for i, d := range decisions {
		at := now.Add(time.Duration(i-len(decisions)) * time.Minute)
		f.Kept = append(f.Kept, evidence.Probe{Decision: d, Probe: probe.Probe{
			At: at.UnixNano(), Source: p.Addr(), Destination: netip.MustParseAddr("192.0.2.2"),
			Protocol: probe.ProtocolTCP, Port: 23, Mode: probe.Advanced, Technique: probe.SYN,
		}})
	}
	return f
}

// The sentences about a source, and the ways to change its state.
func TestSay(t *testing.T) {
	block := func(p string) control.InForce {
		return control.InForce{Block: control.Block{Source: netip.MustParsePrefix(p),
			Name: event.SourceName(netip.MustParsePrefix(p))}}
	}
	for _, test := range []struct {
		name         string
		f            *Facts
		with         func(*Facts)
		state, says  string
		why, change  []string
		notWhy, once string
	}{
		{
			name: "a decoy", f: facts(t, "192.0.2.7", engine.Decision{Reason: engine.IsDecoy,
				Pattern: engine.Decoy, Sources: 3, Trigger: 25}),
			state: "spared", says: "192.0.2.7 is not blocked.",
			why: []string{"3 sources sent the same packet"},
			change: []string{"by connections to 2 trap ports (tcp.trigger.classic = 1), or at 26 ports " +
				"that the others do not probe (tcp.trigger.advanced = 25)", `detect.decoys = "block"`},
		},
		{
			name: "one of a list", f: facts(t, "192.0.2.77", engine.Decision{Reason: engine.BelowTrigger,
				Within: 1, Trigger: 25}),
			state: "watched", once: "list mine", why: []string{`(known.mine.policy = "log")`},
			change: []string{"Taken off the list mine"},
		},
		{
			name: "nobody", f: facts(t, "192.0.2.7"), state: "unknown", says: "no probe of it is known",
			change: []string{"above a limit"},
		},
		{
			name: "a prefix with blocks inside", f: facts(t, "198.51.100.0/24"),
			with: func(f *Facts) {
				f.Many, f.Blocks = true, []control.InForce{block("198.51.100.14/32"),
					block("198.51.100.12/32")}
			},
			state: "unknown", says: "198.51.100.0/24 is not blocked as a whole.", notWhy: "no probe",
			why:    []string{"Blocked inside it: 198.51.100.14, 198.51.100.12", "ask for an address"},
			change: []string{`"picket block 198.51.100.0/24"`},
		},
		{
			name: "a prefix with sources inside", f: facts(t, "198.51.100.0/24"),
			with: func(f *Facts) {
				f.Many = true
				for i := range byte(10) {
					f.Inside = append(f.Inside,
						engine.Source{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, i}), 32),
							Probes: uint32(i)})
				}
			},
			state: "watched", why: []string{"198.51.100.0 (0 probes), 198.51.100.1 (1 probe), ",
				"and 2 more"},
		},
		{
			name: "a prefix without anybody", f: facts(t, "198.51.100.0/24"),
			with:  func(f *Facts) { f.Many = true },
			state: "unknown", why: []string{"None of the 256 sources that were seen last"},
		},
		{
			name: "logged, and probing on", f: facts(t, "192.0.2.7",
				engine.Decision{Reason: engine.AboveTrigger, Action: engine.Log, Within: 26, Trigger: 25},
				engine.Decision{Reason: engine.AlreadyReacted, Within: 32, Trigger: 25}),
			with:  func(f *Facts) { f.Config.TCP.Action = engine.Log },
			state: "watched", why: []string{"26 different ports inside the window, 25 let pass " +
				"(tcp.trigger.advanced = 25). That was told at 2026-11-22 11:58:00.", `tcp.action = "log"`},
			change: []string{`With tcp.action = "block", a source above a limit is blocked.`},
			notWhy: "32 different",
		},
		{
			name: "of a prefix whose other address was blocked", f: facts(t, "2001:db8:0:1::9",
				engine.Decision{Reason: engine.AboveTrigger, Action: engine.Block, Within: 26, Trigger: 25,
					For: time.Hour, Source: netip.MustParsePrefix("2001:db8:0:1::1/128")}),
			state: "watched", why: []string{"2001:db8:0:1::1, which is of the same source, was blocked at"},
			notWhy: "It was blocked", change: []string{"Its next probe may get it blocked as well"},
		},
		{
			name: "a block that was ended", f: facts(t, "192.0.2.7",
				engine.Decision{Reason: engine.AboveTrigger, Action: engine.Block, Within: 26, Trigger: 25,
					For: time.Hour, Offence: 2, Source: netip.MustParsePrefix("192.0.2.7/32")}),
			state: "watched", why: []string{"and that was ended: by hand",
				"That was for: 26 different ports"}, change: []string{"the next block is its 3rd"},
		},
		{
			name: "nobody, in a dry run that has forgotten some", f: facts(t, "192.0.2.7"),
			with:  func(f *Facts) { f.Config.DryRun, f.Forgotten = true, 17 },
			state: "unknown", why: []string{"17 sources were, to make room (detect.sources = ",
				"dry_run = true: nobody is blocked from now on."},
		},
		{
			name: "seen, with nothing kept", f: facts(t, "2001:db8:0:1::9"),
			with: func(f *Facts) {
				f.Source = netip.MustParsePrefix("2001:db8:0:1::/64")
				f.Seen = &engine.Source{Last: f.Now.Add(-90 * time.Second)}
			},
			state: "watched", why: []string{"Its last probe was 1m30s ago",
				"all of 2001:db8:0:1::/64 as one source (detect.ipv6_prefix = 64)"},
			change: []string{"above a limit"},
		},
		{
			name: "connected, far from a limit", f: facts(t, "192.0.2.7",
				engine.Decision{Reason: engine.BelowTrigger, Within: 3, Trigger: 25}),
			with:  func(f *Facts) { f.Connected = true },
			state: "watched", why: []string{"It has probed 3 different ports inside the window of 10m, and " +
				"25 are let pass (tcp.trigger.advanced = 25).", "It has a TCP connection with this host now"},
			change: []string{"at 23 more ports within 10m (tcp.trigger.advanced = 25), at "},
		},
		{
			name: "of long ago", f: facts(t, "192.0.2.7", engine.Decision{Reason: engine.BelowTrigger,
				Within: 3, Trigger: 5, Lowered: true}),
			with:  func(f *Facts) { f.Now = f.Now.Add(time.Hour) },
			state: "watched", why: []string{"nothing of it is inside the window any more"},
			change: []string{"at 6 different ports within 10m (detect.tool_trigger = 5)"},
		},
		{
			name: "protected once", f: facts(t, "192.0.2.7", engine.Decision{Reason: engine.IsProtected}),
			state: "watched", why: []string{"it is protected no more"},
		},
		{
			name: "connected and spared", f: facts(t, "192.0.2.7", engine.Decision{Reason: engine.IsConnected,
				Within: 26, Trigger: 25}),
			state: "spared", why: []string{"26 different ports inside the window, 25 let pass, but none of " +
				"it is proven"}, change: []string{"once that connection has ended"},
		},
		{
			name: "in a flood", f: facts(t, "192.0.2.7", engine.Decision{Reason: engine.InFlood}),
			state: "spared", why: []string{"detect.flood = "}, change: []string{"or the flood is over"},
		},
		{
			name: "one too many", f: facts(t, "192.0.2.7", engine.Decision{Reason: engine.TooMany, Within: 26,
				Trigger: 25}), state: "spared", why: []string{"block.unproven_rate = "},
		},
		{
			name: "no room for a block", f: facts(t, "192.0.2.7", engine.Decision{Reason: engine.Full,
				Within: 26, Trigger: 25}), state: "spared", why: []string{"block.max = "},
		},
		{
			name: "backscatter", f: facts(t, "192.0.2.7", engine.Decision{Reason: engine.Backscatter}),
			state: "watched", why: []string{"forges this host's address"},
		},
		{
			name: "a late answer", f: facts(t, "192.0.2.7", engine.Decision{Reason: engine.LateAnswer}),
			state: "watched", why: []string{"later than connection tracking waits"},
		},
		{
			name: "a SYN to a service", f: facts(t, "192.0.2.7", engine.Decision{Reason: engine.Turned,
				Refused: true, Score: 42, Observed: 1 << probe.MadeRaw}),
			state: "watched", why: []string{"turned away; score 42 of 30"},
		},
		{
			name: "a handshake", f: facts(t, "192.0.2.7", engine.Decision{Reason: engine.Handshake}),
			state: "watched", why: []string{"begins a connection to a trap port"},
		},
		{
			name: "the command was run", f: facts(t, "192.0.2.7", engine.Decision{Reason: engine.AboveTrigger,
				Action: engine.Run}),
			state: "watched", why: []string{"A syn probe of tcp/23, and none is let pass " +
				"(tcp.trigger.advanced = 0). For that the command was run at 2026-11-22 11:59:00."},
		},
		{
			name: "a block that is over", f: facts(t, "192.0.2.7",
				engine.Decision{Reason: engine.LostBlock, Action: engine.Block, For: time.Second,
					Source: netip.MustParsePrefix("192.0.2.7/32")}),
			with:  func(f *Facts) { f.Seen = &engine.Source{Offences: 4} },
			state: "watched", why: []string{"which has ended"}, change: []string{"the next block is its 5th"},
		},
		{
			name: "protected", f: facts(t, "192.0.2.7"),
			with: func(f *Facts) {
				f.Protected = []Protected{{f.Asked, "own address"}, {netip.MustParsePrefix("192.0.2.0/24"),
					"ignored by the configuration"}, {f.Asked, "loopback"}, {f.Asked, "gateway"},
					{f.Asked, "resolver"}}
			},
			state: "protected", says: "192.0.2.7 is protected and never blocked: own address.",
			change: []string{"192.0.2.7 (own address) is protected by ignore.own = true.",
				"192.0.2.0/24 (ignored by the configuration) is protected by ignore.addresses or " +
					"ignore.files.", "(loopback) is always protected.", "ignore.gateways = true",
				"ignore.resolvers = true"},
		},
		{
			name: "allowed by command", f: facts(t, "192.0.2.7"),
			with: func(f *Facts) {
				f.Protected = []Protected{{f.Asked, "allowed by command: the auditor"}}
			},
			state: "protected", says: "never blocked: allowed by command: the auditor.",
			change: []string{"\"picket unallow 192.0.2.7\" ends that."},
		},
		{
			name: "in what is protected", f: facts(t, "192.0.2.7"),
			with: func(f *Facts) {
				f.Protected = []Protected{{netip.MustParsePrefix("192.0.2.0/24"),
					"ignored by the configuration"}}
			},
			state: "protected", says: "it is in 192.0.2.0/24, ignored by the configuration.",
			why: []string{"does not hand packets of protected addresses"},
		},
		{
			name: "protected, in a prefix that is blocked", f: facts(t, "192.0.2.7"),
			with: func(f *Facts) {
				f.Protected = []Protected{{netip.MustParsePrefix("192.0.2.7/32"), "allowed by command"}}
				f.Take([]control.InForce{block("192.0.2.0/28")})
			},
			state: "protected", says: "192.0.2.7 is protected and never blocked: allowed by command.",
			why:    []string{"192.0.2.0/28 is blocked, but nothing is dropped of what is protected in it."},
			change: []string{`"picket unallow 192.0.2.7" ends that.`},
			notWhy: "Blocked inside it",
		},
		{
			name: "blocked, with a protected address in it", f: facts(t, "192.0.2.0/28"),
			with: func(f *Facts) {
				f.Protected = []Protected{{netip.MustParsePrefix("192.0.2.7/32"), "allowed by command"}}
				f.Take([]control.InForce{block("192.0.2.0/28")})
			},
			state: "blocked",
		},
		{
			name: "free again, and what it was blocked for is no longer kept",
			f: facts(t, "192.0.2.7", engine.Decision{Reason: engine.AlreadyFenced, Within: 32,
				Trigger: 25}),
			state: "watched", why: []string{"that has ended"}, change: []string{"starts anew"},
			notWhy: "32 different ports",
		},
		{
			name: "fenced, probing on, and free again", f: facts(t, "192.0.2.7",
				engine.Decision{Reason: engine.AboveTrigger, Action: engine.Fence, Within: 26, Trigger: 25,
					For: time.Hour, Source: netip.MustParsePrefix("192.0.2.7/32")},
				engine.Decision{Reason: engine.AlreadyFenced, Within: 32, Trigger: 25}),
			state:  "watched",
			why:    []string{"It was fenced at 2026-11-22 11:58:00 for 1h, and that was ended"},
			notWhy: "32 different ports",
		},
		{
			name: "around what is protected", f: facts(t, "192.0.2.0/24"),
			with: func(f *Facts) {
				f.Many, f.Protected = true, []Protected{{netip.MustParsePrefix("192.0.2.2/32"),
					"own address"}}
			},
			state: "protected", says: "192.0.2.0/24 is never blocked as a whole: 192.0.2.2 in it is " +
				"protected, own address.", why: []string{"ask for an address"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.with != nil {
				test.with(test.f)
			}
			x := Explain(test.f)
			why, change := strings.Join(x.Why, "\n"), strings.Join(x.Change, "\n")
			if x.State != test.state || !strings.Contains(x.Summary, test.says) {
				t.Errorf("%s: %s", x.State, x.Summary)
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
			if test.notWhy != "" && strings.Contains(x.Summary+why, test.notWhy) ||
				test.once != "" && strings.Count(why, test.once) != 1 {
				t.Errorf("why:\n%s", why)
			}
		})
	}
}

// Each of several blocks of one prefix has its own probe and offence.
func TestBlockHasItsOwnProbe(t *testing.T) {
	reacted := func(offence int, source string) engine.Decision {
		return engine.Decision{Reason: engine.AboveTrigger, Action: engine.Block, Within: 26, Trigger: 25,
			Offence: offence, Source: netip.MustParsePrefix(source)}
	}
	f := facts(t, "2001:db8:0:1::1", reacted(1, "2001:db8:0:1::1/128"), reacted(3, "2001:db8:0:1::/64"))
	f.Seen = &engine.Source{Offences: 3}
	f.Blocks = []control.InForce{{Block: control.Block{Response: "block",
		Source: netip.MustParsePrefix("2001:db8:0:1::1/128"), Name: "2001:db8:0:1::1", Technique: "syn",
		Since: f.Now, Expires: f.Now.Add(time.Hour)}}}
	x := Explain(f)
	if why := strings.Join(x.Why, "\n"); !strings.Contains(why, "for 1h: its 1st block, and the address "+
		"may be forged") {
		t.Error(why)
	}
}

// The reason of a block, by the facts about the block.
func TestBlocked(t *testing.T) {
	d := engine.Decision{Reason: engine.AboveTrigger, Action: engine.Block, Within: 26, Trigger: 25,
		Offence: 2, For: time.Hour, Source: netip.MustParsePrefix("192.0.2.7/32")}
	known := d
	known.Reason, known.Known = engine.KnownFirst, "mine"
	proven := d
	proven.Proven, proven.Connections = true, 2
	invited := facts(t, "192.0.2.7")
	invited.Config.Trap.Invite = config.InviteScored
	in := func(at time.Time) control.InForce {
		return control.InForce{
			Block: control.Block{Name: "192.0.2.7", Source: d.Source, Response: "block", Since: at,
				Expires: at.Add(time.Hour), Remaining: 3540, Technique: "syn", Reason: "above the trigger"},
			Config: "tcp.trigger.advanced = 25", Protocol: "tcp", Port: 23,
		}
	}
	for _, test := range []struct {
		name string
		f    *Facts
		with func(*control.InForce)
		says string
		why  []string
	}{
		{"its probe is kept", facts(t, "192.0.2.7", d), func(b *control.InForce) {
			b.Drops, b.Proven = 3,
				true
		},
			"192.0.2.7 is blocked for another 59m, until 2026-11-22 12:59:00.",
			[]string{"26 different ports inside the window, 25 let pass (tcp.trigger.advanced = 25).",
				"for 1h: its 2nd block, and the address is proven (block.for).",
				"has dropped 3 packets of it"}},
		{"and it has a pattern", facts(t, "192.0.2.7", d),
			func(b *control.InForce) { b.Pattern = "portscan" },
			"", []string{"Port scan: 26 different ports inside the window, 25 let pass " +
				"(tcp.trigger.advanced = 25)."}},
		{"it is of a list", facts(t, "192.0.2.7", known), func(b *control.InForce) { b.Pattern = "portscan" },
			"", []string{"It is in the list mine, whose first probe is reacted to"}},
		{"its probe is not kept", facts(t, "192.0.2.7"), func(b *control.InForce) { b.Pattern = "sweep" },
			"", []string{"Sweep: syn probe of tcp/23, above the trigger (tcp.trigger.advanced = 25).",
				"its 3rd block, and the address may be forged (block.unproven_for)."}},
		{"in the dark", facts(t, "192.0.2.7"), func(b *control.InForce) { b.Response = "dark" },
			"192.0.2.7 is in the dark for another 59m, until 2026-11-22 12:59:00.",
			[]string{"In the dark since 2026-11-22 11:59:00 for 1h: ", "services answer it"}},
		{"fenced", facts(t, "192.0.2.7"), func(b *control.InForce) { b.Response = "fence" },
			"192.0.2.7 is fenced for another 59m", []string{"ten minutes in an hour at most",
				"flows that are known go on"}},
		{"its proof is kept", facts(t, "192.0.2.7", proven), func(b *control.InForce) { b.Proven = true },
			"", []string{"Proven: completed two connections to different traps; 26 different ports"}},
		{"fenced, and invited", invited, func(b *control.InForce) { b.Response = "fence" },
			"", []string{`Its connections to ports that nobody serves are led to the trap (trap.invite = ` +
				`"scored").`}},
		{"by hand", facts(t, "192.0.2.7"), func(b *control.InForce) {
			b.ByHand, b.Reason = true,
				"abuse report 4711."
		},
			"", []string{"Blocked by hand at 2026-11-22 11:59:00: abuse report 4711."}},
		{"of an earlier run", facts(t, "192.0.2.7"), func(b *control.InForce) { b.Technique = "" },
			"", []string{"from an earlier run of picket; the journal of 2026-11-22 11:59:00 says why."}},
		{"as part of a prefix", facts(t, "192.0.2.7"), func(b *control.InForce) {
			b.Name,
				b.Source = "192.0.2.0/24", netip.MustParsePrefix("192.0.2.0/24")
		},
			"192.0.2.7 is blocked as part of 192.0.2.0/24 for another 59m", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := in(test.f.Now.Add(-time.Minute))
			test.with(&b)
			test.f.Seen = &engine.Source{Offences: 3}
			test.f.Take([]control.InForce{b})
			x := Explain(test.f)
			why := strings.Join(x.Why, "\n")
			if x.State != "blocked" || !strings.Contains(x.Summary, test.says) {
				t.Errorf("%s: %s", x.State, x.Summary)
			}
			for _, w := range test.why {
				if !strings.Contains(why, w) {
					t.Errorf("why lacks %q:\n%s", w, why)
				}
			}
		})
	}
}

// The block that covers the asked address comes first, then the oldest ones.
func TestTake(t *testing.T) {
	f := facts(t, "192.0.2.7")
	f.Source = netip.MustParsePrefix("192.0.2.0/24")
	var list []control.InForce
	for i := range 40 {
		a := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
		list = append(list, control.InForce{Block: control.Block{Source: netip.PrefixFrom(a, 32),
			Name: a.String(), Since: f.Now.Add(-time.Duration(i) * time.Second)}})
	}
	f.Take(list)
	if len(f.Blocks) != 32 || f.Blocks[0].Name != "192.0.2.7" || f.Blocks[1].Name != "192.0.2.39" {
		t.Errorf("%d blocks: %s, %s, ...", len(f.Blocks), f.Blocks[0].Name, f.Blocks[1].Name)
	}
}

// A kept packet is shown with its bytes, a connection with the data of the peer. The list shows it
// whichever engine judged it.
func TestTold(t *testing.T) {
	f := facts(t, "192.0.2.77", engine.Decision{Reason: engine.KnownIgnored},
		engine.Decision{Reason: engine.AboveTrigger, Action: engine.Block, For: time.Hour})
	f.Interfaces = map[uint32]string{7: "eth0"}
	f.Kept[0].Probe.Interface, f.Kept[0].Probe.Flags, f.Kept[0].Raw = 7, probe.FlagSYN, []byte{0x45}
	f.Kept[1].Probe.Technique, f.Kept[1].Probe.Mode, f.Kept[1].Raw = probe.Connect, probe.Classic,
		[]byte("GET /\r\n")
	x := Explain(f)
	if p := x.Probes[0]; p.Interface != "eth0" || p.Flags != "syn" || len(p.Packet) != 1 || p.Data != "" ||
		p.Decision != "not judged: it is in the list mine" || p.Config != `known.mine.policy = "log"` {
		t.Errorf("the packet: %+v", p)
	}
	if p := x.Probes[1]; p.Packet != nil || p.Data != `GET /\r\n` || p.For != 3600 ||
		p.Config != "tcp.trigger.classic = 0" {
		t.Errorf("the connection: %+v", p)
	}
	list := packets(x)
	if len(list) != 1 || list[0].Comment != "syn to tcp/23, advanced: not judged: it is in the list mine "+
		"(known.mine.policy = \"log\"); source not proven" {
		t.Errorf("packets: %+v", list)
	}
	x.Probes[0].Pattern, x.Probes[0].Tool, x.Probes[0].Proven = "portscan", "nmap", true
	if got := packets(x)[0].Comment; !strings.HasSuffix(got, "; pattern portscan; tool nmap; source proven") {
		t.Error(got)
	}
	file := filepath.Join(t.TempDir(), "scan.pcapng")
	missing, err := SavePcap(file, "picket test", x)
	if want := "1 of 2 probes are connections that the trap completed"; err != nil ||
		!strings.Contains(missing, want) {
		t.Errorf("%v, %q, want %q", err, missing, want)
	}
	if b, err := os.ReadFile(file); err != nil || !bytes.Contains(b, []byte(x.Summary+"\n"+x.Why[0])) {
		t.Errorf("%v: the file lacks the summary: %q", err, b)
	}
	x.Probes = x.Probes[:1]
	if missing, err := SavePcap(file, "picket test", x); err != nil || missing != "" {
		t.Errorf("%v, %q", err, missing)
	}
	x.Probes = nil
	if missing, err := SavePcap(file, "picket test", x); err != nil || !strings.Contains(missing,
		"no packet of 192.0.2.77 is kept") {
		t.Errorf("%v, %q", err, missing)
	}
	if _, err := SavePcap(filepath.Join(file, "there"), "picket test", x); err == nil {
		t.Error("a file is a directory")
	}
}

func TestPatternName(t *testing.T) {
	for p, want := range map[engine.Pattern]string{
		engine.PortScan: "port scan", engine.SlowScan: "slow scan", engine.Distributed: "distributed scan",
		engine.Decoy: "decoy scan",
		engine.Flood: "flood of forged sources", engine.Sweep: "sweep",
	} {
		if got := PatternName(p.String()); got != want {
			t.Errorf("%v is written %q, want %q", p, got, want)
		}
	}
}

// The strongest response to a source is explained, the others are named.
func TestStrongestResponse(t *testing.T) {
	f := facts(t, "192.0.2.7")
	of := func(response string, since time.Duration) control.InForce {
		at := f.Now.Add(-since)
		return control.InForce{Block: control.Block{Name: "192.0.2.7", Source: f.Source, Response: response,
			Since: at, Expires: at.Add(time.Hour), Technique: "syn"}}
	}
	f.Take([]control.InForce{of("dark", 2*time.Minute), of("fence", time.Minute)})
	x := Explain(f)
	if why := strings.Join(x.Why, "\n"); !strings.HasPrefix(x.Summary, "192.0.2.7 is fenced for ") ||
		!strings.Contains(why, "It is in the dark too, until 2026-11-22 12:58:00.") {
		t.Errorf("%s\n%s", x.Summary, why)
	}
}
