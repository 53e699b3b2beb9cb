// SPDX-License-Identifier: MIT

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The text between the marks is replaced, and nothing else. Without marks or figures the page
// does not change.
func TestWrite(t *testing.T) {
	const bench = "cpu: Some CPU\nBenchmarkFire/flood-2 1 0 ns/op 4.5 us/probe 9.00 compared-us/probe 52.1 " +
		"MiB-peak\nPASS\n"
	page := filepath.Join(t.TempDir(), "page.md")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(page, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("# Page\n" + from + "old\n" + to + "end\n")
	if err := write(page, strings.NewReader(bench), time.Unix(0, 0).UTC()); err != nil {
		t.Fatal(err)
	}
	got, _ := os.ReadFile(page)
	want := "# Page\n" + from +
		"Measured on 1 January 1970, Some CPU.\n\n| what | unit | here | compared | ratio |\n" +
		"|---|---|---|---|---|\n| Fire/flood | us/probe | 4.50 | 9.00 | 0.50 |\n" +
		"| Fire/flood | MiB-peak | 52.1 |  |  |\n" +
		to + "end\n"
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if err := write(page, strings.NewReader("PASS\n"), time.Now()); err == nil {
		t.Error("no figures are written")
	}
	put("# Page\n")
	if err := write(page, strings.NewReader(bench), time.Now()); err == nil {
		t.Error("a page without marks is written")
	}
}
