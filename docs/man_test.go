// SPDX-License-Identifier: MIT

// Package docs has picket's pages for people, and tests that hold them true.
package docs

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"picket/examples"
)

// TestKeys holds picket.toml(5) to the reference, its commented examples
// included: each section and each key of it has its place in the page, and no
// other is there.
func TestKeys(t *testing.T) {
	page, err := os.ReadFile("picket.toml.5")
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string]bool)
	for _, line := range regexp.MustCompile(`(?m)^\.(?:It Ic|Sh) (.*)$`).FindAllStringSubmatch(string(page),
		-1) {
		for _, word := range regexp.MustCompile(`\[\w+\]|^[a-z_0-9]+| [a-z_0-9]+`).FindAllString(line[1],
			-1) {
			if word = strings.TrimSpace(word); word != "and" {
				documented[word] = false
			}
		}
	}
	keys := regexp.MustCompile(`(?m)^(?:# )?(?:\[?(\[\w+\])|(\w+) =)`)
	for _, m := range keys.FindAllStringSubmatch(string(examples.Reference), -1) {
		key := m[1] + m[2]
		if _, ok := documented[key]; !ok {
			t.Errorf("the page lacks %s", key)
		}
		documented[key] = true
	}
	for name, referred := range documented {
		if !referred {
			t.Errorf("the page has %s, which examples/picket.toml lacks", name)
		}
	}
}
