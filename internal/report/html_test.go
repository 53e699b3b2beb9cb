// SPDX-License-Identifier: MIT

package report

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"
	"time"

	"picket/internal/event"
)

// pageOf writes the page for some events.
func pageOf(t *testing.T, list []event.Event) string {
	t.Helper()
	c := New()
	for _, e := range list {
		c.Add(e)
	}
	r := c.Report(10, nil)
	var out strings.Builder
	if err := HTML(&out, &r, "today"); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestHTMLEscapes: any text of an event stays text, and every element is closed,
// with events and without.
func TestHTMLEscapes(t *testing.T) {
	const evil = `"><script>alert(1)</script><img src=x onerror=y>'</style>`
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.Local)
	page := pageOf(t, []event.Event{
		{Event: "block", Time: at, Source: evil, Pattern: evil, Tool: evil, Technique: evil, Network: evil,
			Country: evil, ASN: 7, Known: evil, Reason: evil, Action: evil, Protocol: "tcp", Port: 7},
		{Event: evil, Time: at.Add(50 * time.Hour), Source: "192.0.2.1"},
	})
	for _, bad := range []string{"<script", "<img", "ZgotmplZ"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	if n := strings.Count(page, "</style>"); n != 1 {
		t.Errorf("%d ends of the style", n)
	}
	if !strings.Contains(page, "&lt;script&gt;") {
		t.Error("what was said is not shown")
	}
	for _, p := range []string{page, pageOf(t, nil)} {
		d := xml.NewDecoder(strings.NewReader(p))
		d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestChart: the bars of a stretch stand on each other, the highest fills the picture.
func TestChart(t *testing.T) {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.Local)
	s := newScale([]Hour{{Time: at, Dark: 1, Block: 3}, {Time: at.Add(2 * time.Hour), Block: 2}}, pageSlots)
	c := s.chart("x", "Blocks", "each", []series{
		{"dark", "two", func(h *Hour) int { return h.Dark }},
		{"fence", "one", func(h *Hour) int { return h.Fence }},
		{"block", "three", func(h *Hour) int { return h.Block }},
	})
	if c.Most != 4 || c.Width != 3 || len(c.Series) != 2 || len(c.Bars) != 3 {
		t.Fatalf("%+v", c)
	}
	if b := c.Bars; b[0] != (bar{"two", "0.08", "75.00", "25.00", "11-22 12:00: 1 dark"}) ||
		b[1].Y != "0.00" || b[1].Height != "75.00" || b[2].X != "2.08" {
		t.Errorf("%+v", b)
	}
	if c.Label != "Blocks: each; most, 4, from 11-22 12:00 on" {
		t.Error(c.Label)
	}
}

func TestNumber(t *testing.T) {
	for n, want := range map[int]string{0: "0", 12: "12", 123: "123", 1234: "1,234", 1234567: "1,234,567"} {
		if got := number(n); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
