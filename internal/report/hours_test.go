// SPDX-License-Identifier: MIT

package report

import (
	"strings"
	"testing"
	"time"

	"picket/internal/event"
)

// TestHours: returning and new sources are counted apart, and so are responses. Events
// far outside the kept hours still count.
func TestHours(t *testing.T) {
	c, at := New(), time.Date(2026, 11, 22, 12, 10, 0, 0, time.UTC)
	add := func(after time.Duration, source, kind, action string) {
		c.Add(event.Event{Event: kind, Time: at.Add(after), Source: source, Action: action, Protocol: "tcp",
			Port: 22})
	}
	add(0, "192.0.2.1", "probe", "none")
	add(time.Minute, "192.0.2.1", "block", "dark")
	add(time.Hour, "192.0.2.2", "block", "fence")
	add(3*time.Hour, "192.0.2.1", "block", "run")
	add(20_000*time.Hour, "192.0.2.3", "probe", "none")
	add(-time.Hour, "192.0.2.4", "probe", "none")
	r := c.Report(10, nil)
	if r.Returning != 1 || r.New != 3 {
		t.Errorf("%d came again, %d did not; want 1, 3", r.Returning, r.New)
	}
	if got := counted(r.Responses, plain); got != "1 block, 1 dark, 1 fence" {
		t.Errorf("responses: %s", got)
	}
	if len(r.Hours) != 4 || r.Hours[0].Sources != 2 || r.Hours[2].Returning != 1 || r.Hours[3].New != 1 {
		t.Errorf("%+v", r.Hours)
	}
	n := 0
	for _, h := range r.PortHours[0].Hours {
		n += h.Sources
	}
	if n != 4 {
		t.Errorf("%d sources in the hours of tcp/22, want 4", n)
	}
}

// TestScale: the stretches of any period are few, in order, and cover it.
func TestScale(t *testing.T) {
	at := time.Date(2026, 11, 22, 5, 0, 0, 0, time.Local)
	for _, x := range []struct {
		hours int
		name  string
	}{{1, "hour"}, {24, "hour"}, {30, "hour"}, {31, "2 hours"}, {7 * 24, "6 hours"}, {20 * 24, "day"},
		{300 * 24, "28 days"}, {9000, "28 days"}} {
		var list []Hour
		for i := range x.hours {
			list = append(list, Hour{Time: at.Add(time.Duration(i) * time.Hour), Events: 1})
		}
		s, n := newScale(list, mostSlots), 0
		for i := range s.slots {
			n += s.slots[i].Events
		}
		if s.name() != x.name || n != x.hours || len(s.slots) > mostSlots {
			t.Errorf("%d hours: %d stretches of a %s with %d", x.hours, len(s.slots), s.name(), n)
		}
	}
}

// TestPrintHours: a histogram needs more than one stretch.
func TestPrintHours(t *testing.T) {
	c, at := New(), time.Date(2026, 11, 22, 12, 0, 0, 0, time.Local)
	for i, n := range []int{1, 0, 8, 2} {
		for j := range n {
			c.Add(event.Event{Event: "probe", Time: at.Add(time.Duration(i) * time.Hour),
				Source: string(rune('a'+i)) + string(rune('a'+j)), Protocol: "tcp", Port: 22})
		}
	}
	r := c.Report(10, nil)
	var out strings.Builder
	printHours(&out, &r, 0)
	const want = `
BY HOUR      SOURCES  NEW  EVENTS
11-22 12:00        1    1       1  ####
11-22 13:00        -    -       -  -
11-22 14:00        8    8       8  ##############################
11-22 15:00        2    2       2  ########

PORT    SOURCES  NEW SOURCES BY HOUR
tcp/22       11  ▁.█▂
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
}
