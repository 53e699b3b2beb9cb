// SPDX-License-Identifier: MIT

package explain

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"picket/internal/control"
)

// On a terminal no line is too long, whatever a peer sent. Elsewhere a probe is one line. A setting
// is shown once, and again beside each reaction.
func TestPrintExplanation(t *testing.T) {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.Local)
	x := &control.Explanation{
		Source: "2001:db8:1:2::/64", Summary: "2001:db8:1:2::/64 is blocked for another 4m43s, until " +
			"2026-11-22 12:05:00.",
		Why: []string{"Port scan: 26 different ports inside the window, 25 let pass " +
			"(tcp.trigger.advanced = 25)."},
		Change: []string{`It ends by itself; "picket unblock 2001:db8:1:2::/64" ends it now.`},
		Known: &control.Known{First: at, Last: at, Ports: strings.Fields("tcp/1 tcp/3 tcp/5 tcp/7 tcp/9 " +
			"tcp/11 tcp/13 tcp/15 tcp/17 tcp/19 tcp/21 tcp/23 tcp/25 tcp/27 tcp/29 tcp/31 tcp/33 tcp/35 " +
			"tcp/37")},
	}
	probe := control.KeptProbe{
		Time: at, Source: netip.MustParseAddr("2001:db8:1:2:5054:ff:fe12:3456"),
		Destination: netip.MustParseAddr("2001:db8::2"), Protocol: "tcp", Port: 513,
		Mode: "advanced", Technique: "syn", Action: "none", Decision: "port 1 of the 25 that are let pass",
		Config: "tcp.trigger.advanced = 25",
	}
	x.Probes = append(x.Probes, probe, probe)
	probe.Source, probe.Action, probe.Decision = netip.MustParseAddr("2001:db8:1:2::7"), "block",
		"blocked for 5m: 26 different ports inside the window, 25 let pass\x1b[31m"
	probe.Data = strings.Repeat(`GET /\r\n`, 200)
	x.Probes = append(x.Probes, probe)
	for _, width := range []int{0, 40, 80, 100, 200} {
		var b strings.Builder
		if err := Print(&b, x, width); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); width > 40 && n > width {
				t.Errorf("%d columns of %d: %q", n, width, line)
			}
		}
		if n := strings.Count(strings.Join(strings.Fields(b.String()), " "),
			"(tcp.trigger.advanced = 25)"); n != 3 {
			t.Errorf("width %d: the setting is told %d times, want it in why, at the first probe and at "+
				"the block:\n%s", width, n, b.String())
		}
		if n := strings.Count(b.String(), "as above"); n != 1 {
			t.Errorf("width %d: want the decision of the second probe as above:\n%s", width, b.String())
		}
		if want := "\njournal journalctl -t picket PICKET_SOURCE=2001:db8:1:2::/64\n"; width >= 80 &&
			!strings.Contains(b.String(), want) {
			t.Errorf("width %d: no %q:\n%s", width, want, b.String())
		}
		if strings.Contains(b.String(), "\x1b") || strings.Count(b.String(), "GET") > 25 {
			t.Errorf("width %d:\n%s", width, b.String())
		}
		if width == 0 && !strings.Contains(b.String(),
			`25 let pass?[31m (tcp.trigger.advanced = 25); it sent "GET /`) {
			t.Errorf("a probe is not one line:\n%s", b.String())
		}
	}
}

func TestPortRanges(t *testing.T) {
	if got := portRanges([]string{"tcp/3", "udp/9", "tcp/1", "tcp/2", "ip/47", "tcp/80",
		"nonsense"}); got != "ip/47 tcp/1-3,80 udp/9" {
		t.Errorf("%q", got)
	}
}
