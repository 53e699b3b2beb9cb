// SPDX-License-Identifier: MIT

package journal

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"picket/internal/event"
)

func block() event.Event {
	return event.Event{
		Event: "block", Time: time.Unix(1700000000, 0).UTC(), Source: "192.0.2.9",
		Destination: netip.MustParseAddr("192.0.2.2"),
		Protocol:    "tcp", Port: 23, SourcePort: 40000, Mode: "stealth", Technique: "syn", Flags: "syn",
		Pattern: "portscan",
		Probes:  6, PortsSeen: 6, Ports: []string{"tcp/22", "tcp/23"}, Action: "block",
		For: event.Seconds(10 * time.Minute), Reason: "above the trigger",
		Config: "tcp.trigger.stealth = 1",
	}
}

func TestForms(t *testing.T) {
	const line = `event=block source=192.0.2.9 destination=192.0.2.2 protocol=tcp port=23 mode=stealth ` +
		`technique=syn pattern=portscan action=block for_s=600 probes=6 ports_seen=6 flags=syn ` +
		`ports="tcp/22 tcp/23" proven=false source_port=40000 reason="above the trigger" ` +
		`config="tcp.trigger.stealth = 1"`
	if got := Line(block()); got != line {
		t.Errorf("line\n got %s\nwant %s", got, line)
	}
	const message = `blocked 192.0.2.9 for 10m0s: portscan, syn probe of tcp/23, above the trigger`
	if got := Message(block()); got != message {
		t.Errorf("message\n got %s\nwant %s", got, message)
	}
	e := block()
	e.Time = time.Date(2026, 11, 22, 12, 0, 0, 0, time.Local)
	if got := Sentence(e); got != "2026-11-22 12:00:00  "+message {
		t.Errorf("sentence\n got %s\nwant %s", got, message)
	}
	f := Fields(block())
	for k, want := range map[string]string{"PICKET_EVENT": "block", "PICKET_SOURCE": "192.0.2.9",
		"PICKET_PORTS": "tcp/22 tcp/23", "PICKET_FOR_S": "600", "PICKET_PROVEN": "false",
		"PICKET_TIME": "2023-11-14T22:13:20Z"} {
		if f[k] != want {
			t.Errorf("%s = %q, want %q", k, f[k], want)
		}
	}
}

// TestHostileText: no text from outside reaches a terminal or a field raw.
func TestHostileText(t *testing.T) {
	e := block()
	e.Reason, e.Tool, e.Source = "a\nMESSAGE=forged\x1b[2J", "x\u202ey", "192.0.2.9\r"
	texts := []string{Line(e), Message(e), Sentence(e)}
	for _, v := range Fields(e) {
		texts = append(texts, v)
	}
	for _, s := range texts {
		if strings.ContainsFunc(s, unicode.IsControl) || strings.Contains(s, "\u202e") {
			t.Errorf("%q", s)
		}
	}
}

// TestWriterNeverBlocks: a journal that hangs costs events and not time, and their
// number is reported afterwards.
func TestWriterNeverBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var kinds []string
		w := start(func(e entry) error {
			<-release
			kinds = append(kinds, e.kind)
			return nil
		})
		for range queueLength + 100 {
			w.Event(block())
		}
		if d := w.Dropped(); d < 99 || d > 100 {
			t.Errorf("%d dropped, want 99 or 100: one may be on its way", d)
		}
		close(release)
		w.Close()
		if got := strings.Count(strings.Join(kinds, " "), "lost"); got != 1 {
			t.Errorf("the loss was told %d times, want once", got)
		}
		before := len(kinds)
		w.Event(block()) // after the end of the writer
		synctest.Wait()
		if len(kinds) != before {
			t.Errorf("%q was written after the end", kinds[before:])
		}
	})
}
