// SPDX-License-Identifier: MIT

// Package units has systemd's units alone, and what holds them to the rest.
package units

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestUnits: each unit is installed, and runs commands that the manual has.
func TestUnits(t *testing.T) {
	read := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	list := regexp.MustCompile(`(?m)^UNITS +:= ((?:.*\\\n)*.*)$`).FindStringSubmatch(read("install.mk"))
	if list == nil {
		t.Fatal("install.mk has no UNITS")
	}
	installed := strings.Fields(strings.ReplaceAll(list[1], "\\\n", " "))
	var units []string
	for _, kind := range []string{"service", "socket", "timer"} {
		files, err := filepath.Glob("*." + kind)
		if err != nil {
			t.Fatal(err)
		}
		units = append(units, files...)
	}
	slices.Sort(installed)
	slices.Sort(units)
	if !slices.Equal(installed, units) {
		t.Errorf("installed are %v, want %v", installed, units)
	}
	manual, ran := read("../docs/picket.1"), 0
	command := regexp.MustCompile(`(?m)^Exec\w+=\S*picket (\w+)`)
	for _, u := range units {
		for _, m := range command.FindAllStringSubmatch(read(u), -1) {
			if ran++; !strings.Contains(manual, "\n.It Cm "+m[1]+"\n") &&
				!strings.Contains(manual, "\n.It Cm "+m[1]+" ") {
				t.Errorf("%s runs %q, which picket(1) does not have", u, m[0])
			}
		}
	}
	if ran < 4 {
		t.Errorf("%d commands were found", ran)
	}
}
