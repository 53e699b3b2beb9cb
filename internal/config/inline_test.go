// SPDX-License-Identifier: MIT

package config

import (
	"strings"
	"testing"
)

// TestInline: nothing waits by default or in a dry run, and the verdict needs its
// other settings.
func TestInline(t *testing.T) {
	const open = "[inline]\nports = \"open\"\n"
	for _, x := range []struct {
		text  string
		on    bool
		fault string
	}{
		{"", false, ""},
		{"[inline]\nports = \"\"\n", false, ""},
		{open, true, ""},
		{"dry_run = true\n" + open, false, ""},
		{"[inline]\nports = \"all\"\n", false, `inline.ports: is "all": want "" or "open"`},
		{open + "[block]\nstyle = \"block\"\n", false, `needs block.style = "graded"`},
		{open + "[detect]\nscore = \"log\"\n", false, `needs detect.score = "dark"`},
		{open + "[tcp]\naction = \"log\"\n", false, `needs tcp.action = "block"`},
	} {
		c, err := Parse("p.toml", []byte(x.text))
		switch {
		case x.fault != "":
			if err == nil || !strings.Contains(err.Error(), x.fault) {
				t.Errorf("%q: %v, want %s", x.text, err, x.fault)
			}
		case err != nil:
			t.Errorf("%q: %v", x.text, err)
		case c.Inlined() != x.on || c.Elements().Inline != x.on:
			t.Errorf("%q: on %v, called for %v, want %v", x.text, c.Inlined(), c.Elements().Inline, x.on)
		}
	}
}
