// SPDX-License-Identifier: MIT

package docs

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"picket/engine"
	"picket/internal/probe"
)

// patternLabels are what the section of a pattern says, each under its label.
func patternLabels() []string {
	return []string{`(?m)^- Definition: \S`, `(?m)^- Thresholds: \S`, `(?m)^- State: \S`, `(?m)^- Forged: \S`,
		`(?m)^- False positives: \S`}
}

// techniqueLabels are what the section of a technique says; one that is like
// another, or that is held against nobody, has no false positives of its own.
func techniqueLabels() []string {
	return []string{`Forged:\s+(yes|no)`, `False\s+positives: \S|As \*[a-z]+\*|to no avail`}
}

// sections returns the text of each section by its heading.
func sections(page string) map[string]string {
	out, name := map[string]string{}, ""
	for line := range strings.Lines(page) {
		switch heading, ok := strings.CutPrefix(line, "## "); {
		case ok:
			name = strings.TrimSpace(heading)
			out[name] = ""
		case strings.HasPrefix(line, "# "):
			name = ""
		case name != "":
			out[name] += line
		}
	}
	return out
}

// TestPatterns holds patterns.md to the engine: each technique and each pattern
// has its section with all that belongs there, and no section is about anything
// else.
func TestPatterns(t *testing.T) {
	page, err := os.ReadFile("patterns.md")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"impossible flags": true, "What can be forged, and what cannot": true,
		"State": true, "Invitation": true}
	techniques, patterns := map[string]bool{"impossible flags": true}, map[string]bool{}
	for technique := probe.Technique(0); ; technique++ {
		name := technique.String()
		if technique > 0 && name == probe.Unknown.String() {
			break
		}
		want[name], techniques[name] = true, true
	}
	for p := engine.NoPattern + 1; int(p) < engine.Patterns; p++ {
		want[p.String()], patterns[p.String()] = true, true
	}
	got := sections(string(page))
	for name, text := range got {
		if !want[name] {
			t.Errorf("section %q is about nothing that there is", name)
		}
		labels := techniqueLabels()
		switch {
		case patterns[name]:
			labels = patternLabels()
		case !techniques[name]:
			continue
		}
		for _, label := range labels {
			if !regexp.MustCompile(label).MatchString(text) {
				t.Errorf("section %q lacks what %q stands for", name, label)
			}
		}
	}
	for name := range want {
		if _, ok := got[name]; !ok {
			t.Errorf("%q has no section", name)
		}
	}
	rows := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\| ([a-z0-9]+) \| [^|]+ \| [^|]+ \| (?:run here|by its `+
		`source)[^|]* \|$`).FindAllStringSubmatch(string(page), -1) {
		rows[m[1]] = true
	}
	for tool := probe.NoTool; int(tool) < probe.Tools; tool++ {
		if name := tool.String(); name != "" && !rows[name] {
			t.Errorf("tool %q has no row with its mark, its source and how it is tested", name)
		}
	}
}
