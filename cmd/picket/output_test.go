// SPDX-License-Identifier: MIT

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// No control character of an error or a warning reaches the terminal.
func TestErrorsAreClean(t *testing.T) {
	const hostile = "no\x1b[31m\u009b\u202e"
	file := filepath.Join(t.TempDir(), "picket.toml")
	if err := os.WriteFile(file, []byte("[tcp]\n\"a\\u001b[31mb\" = 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	warned := filepath.Join(t.TempDir(), "warned.toml")
	if err := os.WriteFile(warned, []byte("[ignore]\nfiles = [\"/nonexistent/\\u001b[31m\"]\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{hostile}, {"check", "--" + hostile}, {"check", "--config", hostile}, {"check", "--config", file},
		{"check", "--config", warned},
		{"replay", hostile}, {"replay", "--against", hostile, file}, {"block", hostile},
		{"block", "192.0.2.1", "--for", hostile},
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
		if i := strings.IndexFunc(got, func(r rune) bool {
			return r != '\n' && !unicode.IsPrint(r)
		}); i >= 0 {
			t.Errorf("%q: %q", args, got)
		}
	}
}
