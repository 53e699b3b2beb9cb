// SPDX-License-Identifier: MIT

package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestManualNamesEverything: picket(1) has each command once, in SYNOPSIS and in COMMANDS, with
// exactly its flags.
func TestManualNamesEverything(t *testing.T) {
	b, err := os.ReadFile("../../docs/picket.1")
	if err != nil {
		t.Fatal(err)
	}
	manual := string(b)
	sections := map[string][]string{
		"SYNOPSIS": regexp.MustCompile(`(?m)^\.Nm\n`).Split(manualSection(manual, "SYNOPSIS"), -1)[1:],
		"COMMANDS": regexp.MustCompile(`(?m)^\.It .*$`).FindAllString(manualSection(manual, "COMMANDS"), -1),
	}
	root := rootCommand()
	root.InitDefaultCompletionCmd()
	var want []string
	for _, c := range root.Commands() {
		if c.Hidden {
			continue
		}
		var flags []string
		named := regexp.MustCompile(`(?m)^ +(--[a-z-]+)`)
		for _, f := range named.FindAllStringSubmatch(c.Flags().FlagUsages(), -1) {
			flags = append(flags, f[1])
		}
		slices.Sort(flags)
		want = append(want, strings.Join(append([]string{c.Name()}, flags...), " "))
	}
	slices.Sort(want)
	for name, entries := range sections {
		var got []string
		for _, e := range entries {
			var flags []string
			for _, f := range regexp.MustCompile(`\bFl (-[a-z-]+)`).FindAllStringSubmatch(e, -1) {
				flags = append(flags, "-"+f[1])
			}
			slices.Sort(flags)
			command := regexp.MustCompile(`\bCm ([a-z]+)`).FindStringSubmatch(e)
			if command == nil {
				t.Fatalf("%s: %q names no command", name, e)
			}
			got = append(got, strings.Join(append([]string{command[1]}, flags...), " "))
		}
		slices.Sort(got)
		if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
			t.Errorf("%s has\n%s\nwant\n%s", name, g, w)
		}
	}
}

// manualSection returns the text of a section.
func manualSection(manual, name string) string {
	_, text, _ := strings.Cut(manual, "\n.Sh "+name+"\n")
	text, _, _ = strings.Cut(text, "\n.Sh ")
	return text
}
