// SPDX-License-Identifier: MIT

package answers

import (
	"strings"
	"testing"

	"picket/internal/control"
)

func TestStatus(t *testing.T) {
	s := control.Status{
		Version: "1.0", Kernel: "6.18", Pid: 7, Uptime: 3661, Config: "/etc/picket/picket.toml", Group: 5,
		Buffer: 8 << 20,
		Modes:  map[string][]string{"tcp": {"classic", "stealth"}}, Probes: 180, Lost: 1, Garbage: 2,
		Sources: 3, Evicted: 4, Traces: 5, Blocks: 2, Untold: 6,
		Reasons: map[string]uint64{"below the trigger": 178},
		Known:   map[string]uint64{"censys": 9}, Flooding: true,
		Evidence: control.Evidence{Probes: 30, Capacity: 31000, Sources: 1},
		Reaction: control.Reaction{Count: 9, P50: 210, P99: 4321},
		Rules: map[string]uint64{"invited": 40, "uninvited": 7, "unlogged_stealth": 12, "full_sight": 2,
			"full_late": 0, "kept_forged": 3},
	}
	const want = `picket         1.0, process 7, up 1h1m1s, blocking
configuration  /etc/picket/picket.toml
modes tcp      classic, stealth
kernel         Linux 6.18, NFLOG group 5, receive buffer 8 MiB
probes         180, lost 1, no probe 2
               178 below the trigger
                 9 from list censys
sources        3 known, 4 forgotten to make room, traces of 5 kept for slow scans
flood          more new sources come than can be real: who is not proven is spared, unless it stands out
evidence       30 of 31000 probes, of 1 source
blocks         2 in force
invited        40 connections to the trap from other ports, 7 more were beyond a limit
forged         3 packets dropped that began a flow in the name of a host behind this one, or of this one, ` +
		`from where it is not routed to
limits         of the kernel: full_sight 2, unlogged_stealth 12 ` +
		`(unlogged: packets too many to be mirrored; full: a set had no room)
reaction       median 210 µs, 99 % within 4321 µs, of the last 9 blocks
events         6 left out to spare the journal
`
	var out strings.Builder
	if err := Status(&out, s, 0); err != nil || out.String() != want {
		t.Errorf("%v, got\n%swant\n%s", err, &out, want)
	}
	out.Reset()
	if err := Status(&out, control.Status{DryRun: true}, 0); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"dry run", "\nflood          none\n",
		`none is kept (evidence.memory = "0")`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("lacks %q:\n%s", want, &out)
		}
	}
	// On a narrow terminal it breaks between words.
	out.Reset()
	if err := Status(&out, s, 40); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if n := len([]rune(line)); n > 41 || n == 1 {
			t.Errorf("more than 40 columns, or none: %q", line)
		}
	}
	if got := strings.Join(strings.Fields(out.String()), " "); got != strings.Join(strings.Fields(want),
		" ") {
		t.Errorf("a word is broken:\n%s", &out)
	}
}
