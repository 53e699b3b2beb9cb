// SPDX-License-Identifier: MIT

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"picket/internal/control"
)

// Whatever is outside input in an error or a warning, no control character of
// it comes to the terminal.
func TestErrorsAreClean(t *testing.T) {
	const hostile = "no\x1b[31m\u009b\u202e"
	file := filepath.Join(t.TempDir(), "picket.toml")
	if err := os.WriteFile(file, []byte("[tcp]\n\"a\\u001b[31mb\" = 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	warned := filepath.Join(t.TempDir(), "warned.toml")
	if err := os.WriteFile(warned, []byte("[ignore]\nfiles = [\"/nonexistent/\\u001b[31m\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{hostile}, {"check", "--" + hostile}, {"check", "--config", hostile}, {"check", "--config", file}, {"check", "--config", warned},
		{"replay", hostile}, {"replay", "--against", hostile, file}, {"block", hostile}, {"block", "192.0.2.1", "--for", hostile},
		{"import", hostile}, {"report", "--file", hostile}, {"replay", "two\nlines"},
	} {
		got := standardError(t, func() { run(args) })
		if got == "" {
			t.Errorf("%q: no complaint", args)
		}
		for line := range strings.Lines(got) {
			if !strings.HasPrefix(line, "picket: ") {
				t.Errorf("%q: %q", args, line)
			}
		}
		if i := strings.IndexFunc(got, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("%q: %q", args, got)
		}
	}
}

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
