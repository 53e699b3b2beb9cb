// SPDX-License-Identifier: MIT

package journal

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestCatalog: units/picket.catalog has an entry for each kind and no other. Each
// says what it means, what picket did, what to look at and how to undo it.
func TestCatalog(t *testing.T) {
	b, err := os.ReadFile("../../units/picket.catalog")
	if err != nil {
		t.Fatal(err)
	}
	head := regexp.MustCompile(`(?m)^-- ([0-9a-f]{32})$`)
	entries := make(map[string]string)
	text := string(b)
	places := head.FindAllStringSubmatchIndex(text, -1)
	for i, p := range places {
		end := len(text)
		if i+1 < len(places) {
			end = places[i+1][0]
		}
		id := text[p[2]:p[3]]
		if entries[id] != "" {
			t.Errorf("%s stands twice", id)
		}
		entries[id] = text[p[1]:end]
	}
	seen := make(map[string]bool)
	for _, m := range messageIDs {
		entry := entries[m.id]
		if MessageID(m.kind) != m.id || seen[m.id] {
			t.Errorf("%s: MessageID is %q", m.kind, MessageID(m.kind))
		}
		seen[m.id] = true
		delete(entries, m.id)
		for _, part := range []string{"\nSubject: ", "\nDefined-By: picket\n", "\nSupport: ", "\nMeaning: ",
			"\nWhat picket did: ", "\nWhat to look at: ", "\nTo undo it: "} {
			if !strings.Contains(entry, part) {
				t.Errorf("%s: the catalog lacks %q", m.kind, strings.TrimSpace(part))
			}
		}
	}
	for id := range entries {
		t.Errorf("the catalog has %s, which no kind has", id)
	}
	if MessageID("other") != "" {
		t.Error("an unknown kind has a message ID")
	}
}
