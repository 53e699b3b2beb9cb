// SPDX-License-Identifier: MIT

package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"picket/internal/event"
	"picket/internal/journal"
)

// eventOf is the daemon's event of one probe.
func eventOf(source string, probes uint32, change func(*event.Event)) event.Event {
	e := event.Event{
		Event: "probe", Time: time.Unix(1_800_000_000+int64(probes), 0).UTC(), Source: source,
		Destination: netip.MustParseAddr("192.0.2.1"),
		Protocol:    "tcp", Port: 22, Technique: "syn", Tool: "nmap", Probes: probes, PortsSeen: probes,
		Ports: []string{"tcp/22", "udp/53"}, Action: "none",
		Country: "NL", ASN: 64496, Network: "Example Networks",
	}
	if change != nil {
		change(&e)
	}
	return e
}

func block(e *event.Event) {
	e.Event, e.Action, e.Pattern, e.Reason, e.Proven = "block", "block", "portscan", "above the trigger", true
}

var events = []event.Event{
	eventOf("192.0.2.7", 1, nil),
	eventOf("192.0.2.7", 2, nil),
	eventOf("192.0.2.7", 30, block),
	eventOf("2001:db8::7", 1, func(e *event.Event) {
		e.Country, e.ASN, e.Network, e.Known, e.Tool = "", 0, "",
			"censys", ""
	}),
	eventOf("192.0.2.8", 4, block),
	{Event: "expire", Time: time.Unix(1_800_000_900, 0), Source: "192.0.2.8", Action: "none", Drops: 77},
	{Event: "pattern", Time: time.Unix(1_800_000_100, 0), Pattern: "distributed", Action: "none"},
	{Event: "notice", Time: time.Unix(1_800_000_100, 0), Reason: "192.0.2.7 calls itself example.org",
		Source: "192.0.2.7"},
	{Event: "block", Time: time.Unix(1_800_000_100, 0), Source: "203.0.113.0/24", Action: "block",
		Reason: "by hand"},
}

// lines writes events in the form of a file.
func lines(t testing.TB, list []event.Event) []byte {
	var b bytes.Buffer
	for _, e := range list {
		if err := json.NewEncoder(&b).Encode(e); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// entries writes events in the form of journalctl.
func entries(t testing.TB, list []event.Event) []byte {
	var b bytes.Buffer
	for _, e := range list {
		fields := map[string]any{"__REALTIME_TIMESTAMP": "1900000000000000", "_HOSTNAME": "x"}
		for k, v := range journal.Fields(e) {
			fields[k] = v
		}
		if err := json.NewEncoder(&b).Encode(fields); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// TestJournalHasOtherLines: the words of "picket check" at a reload are in the
// journal too, and are neither an event nor a fault.
func TestJournalHasOtherLines(t *testing.T) {
	text := append([]byte(`{"__REALTIME_TIMESTAMP":"1900000000000000","MESSAGE":"/etc/picket/picket.toml: `+
		`no faults"}`+"\n"), entries(t, events)...)
	n := 0
	if err := Read(bytes.NewReader(text), true, func(event.Event) { n++ }); err != nil || n != len(events) {
		t.Errorf("%d events of %d, %v", n, len(events), err)
	}
}

func TestReport(t *testing.T) {
	hour := time.Unix(1_800_000_000, 0)
	want := Report{
		From: time.Unix(1_800_000_001, 0), To: time.Unix(1_800_000_900, 0),
		Events:  map[string]int{"probe": 3, "block": 3, "expire": 1, "pattern": 1, "notice": 1},
		Sources: 4, Blocked: 3, Blocks: 3, InForce: 2, Drops: 1311, New: 4,
		Patterns:  []Count{{"portscan", 2}, {"distributed", 1}},
		Tools:     []Count{{"nmap", 2}},
		Ports:     []Count{{"tcp/22", 3}, {"udp/53", 3}},
		Countries: []Count{{"NL", 2}},
		Networks:  []Count{{"AS64496 Example Networks", 2}},
		Known:     []Count{{"censys", 1}},
		Reasons:   []Count{{"above the trigger", 2}, {"by hand", 1}},
		Responses: []Count{{"block", 3}},
		Hours:     []Hour{{Time: hour, Events: 9, Sources: 4, New: 4, Block: 3}},
		PortHours: []PortHours{{"tcp/22", []HourCount{{hour, 3}}}, {"udp/53", []HourCount{{hour, 3}}}},
	}
	for name, x := range map[string]struct {
		text    []byte
		journal bool
	}{"file": {lines(t, events), false}, "journal": {entries(t, events), true}} {
		t.Run(name, func(t *testing.T) {
			c := New()
			if err := Read(bytes.NewReader(x.text), x.journal, c.Add); err != nil {
				t.Fatal(err)
			}
			got := c.Report(10, &Now{2, map[string]uint64{"192.0.2.7": 1000, "192.0.2.200": 234}})
			busiest := got.Busiest
			got.Busiest = nil
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			var names []string
			for _, s := range busiest {
				names = append(names, fmt.Sprintf("%s %d/%d/%d", s.Source, s.Probes, s.Blocks, s.Drops))
			}
			want := "192.0.2.7 30/1/1000, 192.0.2.8 4/1/77, 2001:db8::7 1/0/0, 203.0.113.0/24 0/1/0"
			if got := strings.Join(names, ", "); got != want {
				t.Errorf("busiest %s, want %s", got, want)
			}
			if s := busiest[0]; s.Pattern != "portscan" || !s.Proven || s.Country != "NL" ||
				s.Last.Unix() != 1_800_000_030 || s.First.Unix() != 1_800_000_001 {
				t.Errorf("%+v", s)
			}
			if r := c.Report(1, nil); len(r.Busiest) != 1 || len(r.Ports) != 1 || r.Sources != 4 {
				t.Errorf("the lists are longer than asked for: %+v", r)
			}
		})
	}
}

func TestRead(t *testing.T) {
	long := `{"event":"probe","time":"2026-11-22T00:00:00Z","source":"` + strings.Repeat("a", maxLine) + `"}`
	good := `{"event":"probe","time":"2026-11-22T00:00:00Z","source":"192.0.2.1"}`
	for _, x := range []struct {
		text  string
		n     int
		fault string
	}{
		{"", 0, ""},
		{"\n\n", 0, ""},
		{good, 1, ""},
		{good + "\n" + good + "\n", 2, ""},
		{`{"event":"summary"}` + "\n" + `{"event":"packet","number":3}` + "\n" + good, 1, ""},
		{"Host: 192.0.2.1 scanned\n" + good + "\nx\n", 1,
			"line 1: not an event of picket's: invalid character 'H' looking for beginning of value; 2 " +
				"lines like it"},
		{good + "\n" + `{"event":"banana","time":"2026-11-22T00:00:00Z"}`, 1,
			`line 2: not an event of picket's: its event is "banana"`},
		{`{"event":"probe"}`, 0, "line 1: not an event of picket's: without a time"},
		{`{"event":"probe","port":70000,"time":"2026-11-22T00:00:00Z"}`, 0,
			"line 1: not an event of picket's: json:"},
		{long + "\n" + good, 1, "line 1: not an event of picket's: longer than 65536 bytes"},
	} {
		n := 0
		err := Read(strings.NewReader(x.text), false, func(event.Event) { n++ })
		if n != x.n || (err == nil) != (x.fault == "") ||
			err != nil && !strings.HasPrefix(err.Error(), x.fault) {
			t.Errorf("%.60q: %d events, %v; want %d, %q", x.text, n, err, x.n, x.fault)
		}
		if err != nil && !errors.Is(err, ErrNotEvent) {
			t.Errorf("%v is no ErrNotEvent", err)
		}
	}
	broken := errors.New("broken")
	if err := Read(io.MultiReader(strings.NewReader(good+"\n"), failing{broken}), false,
		func(event.Event) {}); !errors.Is(err, broken) {
		t.Errorf("a reader that fails: %v", err)
	}
}

type failing struct{ error }

// Read implements io.Reader.
func (f failing) Read([]byte) (int, error) { return 0, f.error }

// TestManySources: forged sources neither grow a counter nor push out the sources
// with most probes.
func TestManySources(t *testing.T) {
	c := New()
	at := time.Unix(1_800_000_000, 0)
	c.Add(event.Event{Event: "probe", Time: at, Source: "192.0.2.7", Protocol: "tcp", Port: 22, Probes: 512})
	const n = 3 * maxSources
	for i := range n {
		c.Add(event.Event{Event: "probe", Time: at, Source: fmt.Sprintf("forged-%d", i), Protocol: "tcp",
			Port: uint16(i), Probes: 1, Tool: fmt.Sprintf("tool-%d", i)})
	}
	r := c.Report(3, nil)
	if len(c.sources) > maxSources || r.Sources != n+1 || r.Others == 0 {
		t.Errorf("%d sources kept, %d reported, %d others", len(c.sources), r.Sources, r.Others)
	}
	if r.Busiest[0].Source != "192.0.2.7" {
		t.Errorf("busiest is %+v", r.Busiest[0])
	}
}

// TestYears: an event of a year that JSON cannot write is none, and does not take the report along.
func TestYears(t *testing.T) {
	const good = `{"event":"block","time":"2026-11-22T00:00:00Z","source":"192.0.2.7"}`
	for _, bad := range []string{
		`{"PICKET_EVENT":"probe","PICKET_SOURCE":"192.0.2.8","__REALTIME_TIMESTAMP":"9223372036854775807"}`,
		`{"event":"probe","time":"9999-12-31T23:59:59-23:59","source":"192.0.2.8"}`,
		`{"event":"probe","time":"0000-01-01T00:10:00+00:30","source":"192.0.2.8"}`,
	} {
		c := New()
		err := Read(strings.NewReader(bad+"\n"+good), false, c.Add)
		if !errors.Is(err, ErrNotEvent) {
			t.Errorf("%s: %v", bad, err)
		}
		r := c.Report(10, nil)
		if _, err := json.Marshal(r); err != nil || r.Blocks != 1 {
			t.Errorf("%s: %v, %d blocks", bad, err, r.Blocks)
		}
	}
}

// FuzzRead: the texts read from any file are short and printable.
func FuzzRead(f *testing.F) {
	f.Add(lines(f, events), false)
	f.Add(entries(f, events), true)
	f.Add([]byte(`{"PICKET_EVENT":"probe","PICKET_SOURCE":[27,91],`+
		`"__REALTIME_TIMESTAMP":"1","PICKET_TOOL":null,"PICKET_PATTERN":["a","b"]}`), true)
	f.Add([]byte("{\"event\":\"block\",\"time\":\"2026-11-22T00:00:00Z\",\"source\":\"\\u001b[2J\\u202e\","+
		"\"ports\":[\"tcp/x\",\"\\n/1\",\"tcp/99999\"]}"), false)
	f.Fuzz(func(t *testing.T, b []byte, journal bool) {
		c := New()
		_ = Read(bytes.NewReader(b), journal, c.Add) // faults have tests of their own
		r := c.Report(10, nil)
		if _, err := json.Marshal(r); err != nil {
			t.Error(err)
		}
		for _, list := range [][]Count{r.Patterns, r.Tools, r.Ports, r.Countries, r.Networks, r.Known,
			r.Reasons} {
			for _, x := range list {
				if len([]rune(x.Name)) > 100 ||
					strings.ContainsFunc(x.Name, func(r rune) bool { return !unicode.IsPrint(r) }) {
					t.Errorf("%q", x.Name)
				}
			}
		}
		for _, s := range r.Busiest {
			if strings.ContainsFunc(s.Source+s.Network+s.Country+s.Known+s.Tool,
				func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%+v", s)
			}
		}
	})
}

// TestInForce: each response to a source has an end of its own. A block ends by its length even
// without an event, as when picket was not running. An end of an older journal ends all responses.
// The daemon's answer overrides the events.
func TestInForce(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	began := func(source, action string, length time.Duration) event.Event {
		return event.Event{Event: "block", Time: at, Source: source, Action: action,
			For: event.Seconds(length)}
	}
	ended := func(source, response string) event.Event {
		return event.Event{Event: "expire", Time: at, Source: source, Response: response}
	}
	last := event.Event{Event: "probe", Time: at.Add(2 * time.Hour), Source: "192.0.2.99"}
	for name, x := range map[string]struct {
		list []event.Event
		want int
	}{
		"two responses, one ended": {[]event.Event{began("a", "dark", time.Hour),
			began("a", "fence", time.Hour),
			ended("a", "dark")}, 1},
		"the other one ended": {[]event.Event{began("a", "dark", time.Hour), began("a", "block", 5*time.Hour),
			ended("a", "block")}, 1},
		"both": {[]event.Event{began("a", "dark", 0), began("a", "block", 0)}, 2},
		"an older end": {[]event.Event{began("a", "dark", 0), began("a", "block", 0),
			ended("a", "")}, 0},
		"a block over in silence": {[]event.Event{began("a", "block", time.Hour),
			began("b", "block", 3*time.Hour)}, 1},
		"a prolonged fence": {[]event.Event{began("a", "fence", time.Hour)}, 1},
		"all at once": {[]event.Event{began("a", "fence", time.Hour), began("b", "block", 0),
			{Event: "unblock", Time: at, Reason: "101 sources, by hand"}}, 0},
	} {
		c := New()
		for _, e := range append(x.list, last) {
			c.Add(e)
		}
		if r := c.Report(1, nil); r.InForce != x.want {
			t.Errorf("%s: %d in force, want %d", name, r.InForce, x.want)
		}
		if r := c.Report(1, &Now{Responses: 7}); r.InForce != 7 {
			t.Errorf("%s: the daemon is not believed: %d", name, r.InForce)
		}
	}
}
