// SPDX-License-Identifier: MIT

package event

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// full is an event with a value for every field.
var full = Event{
	Event: "block", Time: time.Date(2026, 2, 3, 4, 5, 6, 70_000, time.UTC), Source: "192.0.2.9",
	Destination: netip.MustParseAddr("192.0.2.2"), Protocol: "tcp", Port: 23, SourcePort: 40000,
	Mode:      "stealth",
	Technique: "syn", Flags: "syn", Interface: "e0", Pattern: "portscan", Tool: "nmap", Proven: true,
	Probes:    1<<32 - 1,
	PortsSeen: 6, TargetsSeen: 2, Ports: []string{"tcp/22", "tcp/23"}, First: time.Unix(1, 0).UTC(),
	Last:   time.Unix(2, 5).UTC(),
	Action: "block", Would: "fence", Response: "fence",
	For: Seconds(36500 * 24 * time.Hour), Reason: "above the trigger",
	Evidence: "6 ports", Country: "NL",
	ASN: 64496, Network: "Example Networks", Known: "mine", Data: "GET /", Drops: 1<<64 - 1, Held: 200,
	Config: "tcp.trigger.stealth = 1",
}

// addresses compares addresses by value.
var addresses = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

// TestFields compares the table with the JSON form: every key once, at its place.
func TestFields(t *testing.T) {
	places := map[string]any{}
	v := reflect.ValueOf(&full).Elem()
	for i := range v.NumField() {
		key, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		places[key] = v.Field(i).Addr().Interface()
		if v.Field(i).IsZero() {
			t.Errorf("this test has no value for %s", key)
		}
	}
	if len(places) != len(Fields) {
		t.Errorf("%d fields, the JSON form has %d", len(Fields), len(places))
	}
	for _, f := range Fields {
		if places[f.Key] != f.At(&full) {
			t.Errorf("%s: not the value of that key", f.Key)
		}
	}
}

// TestReadBack: an event as text or as JSON reads back as it was.
func TestReadBack(t *testing.T) {
	var fromText, fromJSON Event
	for i := range Fields {
		text, ok := Fields[i].Text(&full)
		if !ok {
			t.Errorf("%s has no text", Fields[i].Key)
		}
		Fields[i].Set(&fromText, text)
	}
	if d := cmp.Diff(full, fromText, addresses); d != "" {
		t.Errorf("from text (-want +got):\n%s", d)
	}
	b, err := json.Marshal(full)
	if err == nil {
		err = json.Unmarshal(b, &fromJSON)
	}
	if d := cmp.Diff(full, fromJSON, addresses); err != nil || d != "" {
		t.Errorf("from JSON: %v (-want +got):\n%s", err, d)
	}
}

// TestNoValue: a text without a valid value changes nothing, and durations are bounded.
func TestNoValue(t *testing.T) {
	var e Event
	for i := range Fields {
		if _, isText := Fields[i].At(&e).(*string); !isText {
			Fields[i].Set(&e, "70000000000 x")
		}
	}
	if e.Ports = nil; !reflect.ValueOf(e).IsZero() {
		t.Errorf("%+v", e)
	}
	for _, text := range []string{"9223372037", "-9223372037", `"1"`, "1.5"} {
		if err := json.Unmarshal([]byte(text), &e.For); err == nil {
			t.Errorf("%s s is read as %v", text, time.Duration(e.For))
		}
	}
}
