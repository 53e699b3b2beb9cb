// SPDX-License-Identifier: MIT

package main

import (
	"strings"
	"testing"
	"time"

	"picket/internal/control"
)

// A reason is what the operator wrote: it stays in its cell.
func TestPrintBlocks(t *testing.T) {
	since := time.Date(2026, 11, 22, 12, 0, 0, 0, time.Local)
	var b strings.Builder
	if err := printBlocks(&b, []control.Block{
		{Name: "192.0.2.1", Remaining: 3594, Since: since, Reason: "e\x1b[31mvil\nx"},
		{Name: "2001:db8:0:1::/64", Remaining: 86400, Since: since, Drops: 4711, Pattern: "portscan", Technique: "syn", Reason: "above the trigger", Known: "censys", Evidence: "list censys"},
		{Name: "192.0.2.3", Remaining: 60, Since: since, Pattern: "portscan", Technique: "fin", Reason: "above the trigger", Evidence: "26 different ports inside the window, 25 let pass"},
	}); err != nil {
		t.Fatal(err)
	}
	want := `SOURCE             REMAINING  SINCE                DROPS  WHAT          WHY
192.0.2.1          59m54s     2026-11-22 12:00:00      0  -             e?[31mvil?x
2001:db8:0:1::/64  1d         2026-11-22 12:00:00   4711  portscan syn  above the trigger (censys)
192.0.2.3          1m         2026-11-22 12:00:00      0  portscan fin  26 different ports inside the window, 25 let pass
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}
