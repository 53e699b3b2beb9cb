// SPDX-License-Identifier: MIT

package top

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"picket/internal/control"
)

// watched is a view two seconds after another one.
func watched() *View {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.Local)
	source := func(name string, probes uint32) control.Source {
		return control.Source{Name: name, Probes: probes, Ports: probes, Targets: 1, Tool: "nmap",
			Last: at.Add(-90 * time.Second)}
	}
	block := func(name string, drops uint64, age time.Duration) control.Block {
		return control.Block{Name: name, Drops: drops, Since: at.Add(-age),
			Expires: at.Add(10*time.Minute - age), Pattern: "portscan", Reason: "above\x1b[31m the trigger"}
	}
	before := &View{
		at: at.Add(-2 * time.Second), blocked: at.Add(-2 * time.Second), status: control.Status{Probes: 100},
		sources: []control.Source{source("192.0.2.1", 500), source("192.0.2.2", 20)},
		blocks:  []control.Block{block("192.0.2.9", 1000, time.Minute)},
	}
	return &View{
		at: at, blocked: at, before: before,
		status: control.Status{Version: "1.0", Uptime: 3661, Probes: 180, Sources: 3, Blocks: 2,
			Reaction: control.Reaction{Count: 9, P50: 210, P99: 4321}},
		sources: []control.Source{source("192.0.2.1", 500), source("192.0.2.2", 60), source("192.0.2.3", 3)},
		blocks:  []control.Block{block("192.0.2.9", 3000, time.Minute), block("192.0.2.8", 0, time.Second)},
	}
}

func TestTopLines(t *testing.T) {
	got := strings.Join(watched().lines(10, 10), "\n")
	want := `picket 1.0, up 1h1m1s, blocking   12:00:00
probes 180 (40/s), lost 0   sources 3   blocks 2   reaction 210µs, 99 % in 4.321ms

SOURCE     PROBES   /S  PORTS  HOSTS  TOOL  LAST
192.0.2.2      60   20     60      1  nmap  1m ago
192.0.2.3       3  1.5      3      1  nmap  1m ago
192.0.2.1     500    -    500      1  nmap  1m ago

BLOCKED    LEFT   DROPS    /S  PATTERN   WHY
192.0.2.8  9m59s      0     -  portscan  above?[31m the trigger
192.0.2.9  9m     3000  1000  portscan  above?[31m the trigger`
	want = strings.Replace(want, "9m     3000", "9m      3000", 1)
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	v := watched()
	v.status.Flooding = true
	if got := v.lines(10, 10)[0]; !strings.Contains(got, "blocking, in a flood of new sources ") {
		t.Error(got)
	}
	if slices.ContainsFunc(v.lines(10, 10), func(l string) bool { return strings.Contains(l, "limits") }) {
		t.Error("limits are told of though nothing fell to them")
	}
	v.status.Rules = map[string]uint64{"full_sight": 9, "unlogged_stealth": 3, "unlogged_over": 7,
		"full_late": 0,
		"trapped":   4}
	v.before.status.Rules = map[string]uint64{"full_sight": 9, "unlogged_stealth": 1}
	if got := v.lines(10, 10)[2]; got !=
		"limits of the kernel: unlogged_over 7 (3.5/s), unlogged_stealth 3 (1.0/s), full_sight 9" {
		t.Error(got)
	}
	v.status.Rules = nil
	v.sources, v.blocks, v.before, v.trouble = nil, nil, nil, errors.New("picket is not running")
	got = strings.Join(v.lines(10, 10), "\n")
	for _, want := range []string{"picket is not running", "nobody has probed yet", "nobody is blocked",
		"probes 180, lost"} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
}

// TestAsk: a view asks for everything, keeps the last answer when the daemon is gone,
// and shows rates from the second answer on.
func TestAsk(t *testing.T) {
	probes, trouble := uint32(10), error(nil)
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.Local)
	asked := map[string]int{}
	v := New(func(command string, answer any) error {
		asked[command]++
		switch a := answer.(type) {
		case *control.Status:
			*a = control.Status{Pid: 7, Probes: uint64(probes)}
		case *[]control.Source:
			*a = []control.Source{{Name: "192.0.2.1", Probes: 1}, {Name: "192.0.2.2", Probes: probes}}
		case *[]control.Block:
			*a = []control.Block{{Name: "192.0.2.1", Since: at},
				{Name: "192.0.2.2", Since: at.Add(time.Second)}}
		}
		return trouble
	})
	if err := v.Ask(at); err != nil {
		t.Fatal(err)
	}
	probes = 30
	if err := v.Ask(at.Add(2 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if asked["status"] != 2 || asked["sources"] != 2 || asked["blocks"] != 2 {
		t.Errorf("asked: %v", asked)
	}
	a := v.Answer()
	if a.Status.Probes != 30 || a.Sources[0].Name != "192.0.2.2" || a.Blocks[0].Name != "192.0.2.2" {
		t.Errorf("%+v", a)
	}
	var out strings.Builder
	if err := v.Print(&out); err != nil || !strings.Contains(out.String(), "probes 30 (10/s)") ||
		!strings.HasSuffix(out.String(), "\n") {
		t.Errorf("%v\n%s", err, &out)
	}
	trouble = errors.New("picket is not running")
	if err := v.Ask(at.Add(4 * time.Second)); err == nil || v.Answer().Status.Probes != 30 ||
		!strings.Contains(v.lines(1, 1)[0], "picket is not running") {
		t.Errorf("%v: %q", err, v.lines(1, 1))
	}
}
