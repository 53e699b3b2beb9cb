// SPDX-License-Identifier: MIT

package docs

import (
	"os"
	"regexp"
	"testing"

	"picket/engine"
)

// TestPatterns holds patterns.md to the engine: each technique and each pattern
// has its section, and no section is about anything else.
func TestPatterns(t *testing.T) {
	page, err := os.ReadFile("patterns.md")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"impossible flags": true, "What can be forged, and what cannot": true, "State": true}
	for technique := engine.Technique(0); ; technique++ {
		name := technique.String()
		if technique > 0 && name == engine.Unknown.String() {
			break
		}
		want[name] = true
	}
	for p := engine.NoPattern + 1; int(p) < engine.Patterns; p++ {
		want[p.String()] = true
	}
	got := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^## (.*)$`).FindAllStringSubmatch(string(page), -1) {
		got[m[1]] = true
		if !want[m[1]] {
			t.Errorf("section %q is about nothing that there is", m[1])
		}
	}
	for name := range want {
		if !got[name] {
			t.Errorf("%q has no section", name)
		}
	}
	rows := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\| ([a-z0-9]+) \|`).FindAllStringSubmatch(string(page), -1) {
		rows[m[1]] = true
	}
	for tool := engine.NoTool; tool <= engine.BSD; tool++ {
		if name := tool.String(); name != "" && !rows[name] {
			t.Errorf("tool %q has no row", name)
		}
	}
}
