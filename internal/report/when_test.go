// SPDX-License-Identifier: MIT

package report

import (
	"testing"
	"time"
)

// TestWhen: a time as people write it is understood, anything else refused.
func TestWhen(t *testing.T) {
	zone := time.FixedZone("", 3600)
	now := time.Date(2026, 11, 29, 21, 30, 5, 0, zone) // a Sunday
	for text, want := range map[string]string{
		"now": "2026-11-29 21:30:05", "today": "2026-11-29 00:00:00", "Yesterday": "2026-11-28 00:00:00",
		"yesterday 03:00": "2026-11-28 03:00:00",
		"sunday":          "2026-11-29 00:00:00", "mon 08:15": "2026-11-23 08:15:00",
		"2026-11-29 03:00": "2026-11-29 03:00:00", "2026-02-03": "2026-02-03 00:00:00",
		"03:00": "2026-11-29 03:00:00", "03:00:07": "2026-11-29 03:00:07",
		"2026-11-29T03:00:00Z": "2026-11-29 04:00:00", "@0": "1970-01-01 01:00:00",
		"": "", "soon": "", "25:00": "", "2026-02-30": "", "yesterday noon": "", "today 1:2:3:4": "",
		"@x": "", "now now": "", "1 2 3": "", "yesterday 03:00 04:00": "",
	} {
		got, err := When(text, now)
		if (err != nil) != (want == "") || err == nil && got.In(zone).Format(time.DateTime) != want {
			t.Errorf("%q: %v, %v; want %q", text, got, err, want)
		}
	}
	if got, err := When("yesterday", time.Date(2026, 3, 1, 12, 0, 0, 0, zone)); err != nil ||
		got.Day() != 28 {
		t.Errorf("the day before the first of March: %v, %v", got, err)
	}
}
