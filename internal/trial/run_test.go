// SPDX-License-Identifier: MIT

package trial

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"picket/internal/config"
	"picket/internal/replay"
)

// ran is what Run prints for a capture.
func ran(t *testing.T, text string, b []byte, o Options) string {
	t.Helper()
	c, err := config.Parse("p.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := Run(context.Background(), &out, c, replay.Rules{}, []replay.Source{replay.Memory("m", b)},
		o); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

const strict = "[tcp]\nclassic = \"\"\ntrigger = 3\n[block]\nstyle = \"block\""

// The summary counts every packet once, and lists the sources with a reaction.
func TestRunSummary(t *testing.T) {
	got := ran(t, strict, newCapture().scan(forger+1, 9).b, Options{})
	for _, want := range []string{
		"9 packets in 1 file, over 8µs from 2023-11-14 22:13:20",
		"\n        9  probe  to a watched port that serves nobody\n", "\n        5  of a blocked source\n",
		"\n        3  not above the trigger\n",
		"\n      9  -        unwanted: ", "\n      5  55.6 %   of these kept off by picket: dark 0, fence " +
			"0, block 5\n",
		"\nof all sources 0 went dark, 0 were fenced, 1 blocked\n",
		"\nSOURCE       ACTION  FOR  ", "\n203.0.113.1  block   5m   ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if got := ran(t, blocking, newCapture().scan(forger+1, 2).b, Options{}); !strings.HasSuffix(got,
		"\nnobody would have been blocked\n") {
		t.Error(got)
	}
	if got := ran(t, "", newCapture().b, Options{}); strings.Count(got, "\n") != 1 ||
		!strings.HasPrefix(got, "0 packets in 1 file, read in ") {
		t.Errorf("an empty capture: %q", got)
	}
}

// JSON is one object a line: events in the order of time, then the summary.
func TestRunJSON(t *testing.T) {
	var events []string
	for line := range strings.Lines(ran(t, strict, newCapture().scan(forger+1, 9).b, Options{JSON: true})) {
		var x struct {
			Event, Source string
			Blocked       int
			Dropped       uint64
		}
		if err := json.Unmarshal([]byte(line), &x); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		events = append(events, x.Event)
		switch x.Event {
		case "block":
			if x.Source != "203.0.113.1" {
				t.Error(line)
			}
		case "summary":
			if x.Blocked != 1 || x.Dropped != 5 {
				t.Error(line)
			}
		}
	}
	if got := strings.Join(events, " "); got != "probe probe block summary" {
		t.Error(got)
	}
}

// Every packet, of any content, has a line with its verdict and the reason.
func TestRunPackets(t *testing.T) {
	c := newCapture().scan(forger+1, 5)
	c.tcp(server, client, 25, 9, syn|ack)                  // an answer to nobody in the capture
	c.other(forger+2, 47, []byte{0, 0, 8, 0})              // GRE
	c.other(forger+3, 1, []byte{8, 0, 0, 0})               // an echo request
	c.other(forger+4, 6, []byte{1, 2})                     // cut
	c.other(forger+5, 17, []byte{0, 9, 0, 53, 0, 8, 0, 0}) // UDP
	got := ran(t, strict, c.b, Options{Packets: true})
	for _, want := range []string{
		"\"m\"\n      1  ", "  203.0.113.1 > 192.0.2.1 tcp/1  probe syn: not above the trigger: 1 " +
			"different port inside the window, 3 let pass\n",
		" tcp/4  probe syn portscan, block: above the trigger: 4 different ports",
		" tcp/5  probe syn: of a blocked source: the kernel would have dropped it\n",
		"203.0.113.2 > 192.0.2.1 ip/47 ", "203.0.113.3 > 192.0.2.1 icmp/2048 ",
		"203.0.113.5 > 192.0.2.1 udp/53 ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	n := 0
	for line := range strings.Lines(ran(t, strict, c.b, Options{Packets: true, JSON: true})) {
		var x packetLine
		if err := json.Unmarshal([]byte(line), &x); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if x.Event == "packet" {
			if n++; int(x.Number) != n || x.File != "m" || x.Verdict == "" || x.Why == "" {
				t.Errorf("packet %d: %s", n, line)
			}
		}
	}
	if n != c.n {
		t.Errorf("%d packets of %d", n, c.n)
	}
}

// A connection to a classic port counts only if the trap answers, and only for a
// configuration with a trap at that port.
func TestTrapOfOneSide(t *testing.T) {
	capture, err := replay.Named("../replay/testdata/connect4.pcap") // 192.0.2.2 connects to port 22
	if err != nil {
		t.Fatal(err)
	}
	one, err := config.Parse("one.toml",
		[]byte("[tcp]\nmodes = [\"classic\"]\ntrigger = 0\nclassic = \"22\""))
	if err != nil {
		t.Fatal(err)
	}
	two, err := config.Parse("two.toml", []byte("[tcp]\nmodes = [\"stealth\"]\nstealth = \"24\""))
	if err != nil {
		t.Fatal(err)
	}
	rules := replay.Rules{TrapAnswers: true}
	var out strings.Builder
	if err := Against(context.Background(), &out, one, two, rules, []replay.Source{capture},
		false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\nspared by the other configuration:\n  192.0.2.2 connect\n", "    this  blocked at ",
		"    other let be: not above the trigger: 1 different port inside the window, 25 let pass\n",
		"\nof 1 connection to ports of classic mode 1 was completed in the capture",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
