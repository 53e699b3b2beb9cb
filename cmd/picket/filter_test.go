// SPDX-License-Identifier: MIT

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"picket/internal/control"
)

// Each filter passes what it names, and several pass what all of them name. A wrong value is
// refused.
func TestFilter(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.Local)
	list := []control.Block{
		{Name: "192.0.2.1", Response: "dark", Pattern: "portscan", Since: now.Add(-time.Minute),
			Country: "NL"},
		{Name: "192.0.2.1", Response: "block", Pattern: "portscan", Since: now.Add(-time.Hour), Proven: true,
			Country: "NL"},
		{Name: "192.0.2.0/23", Response: "fence", Pattern: "sweep", Since: now.Add(-25 * time.Hour)},
		{Name: "2001:db8::/64", Response: "block", Since: now, Proven: true, Country: "DE"},
	}
	for args, want := range map[string]string{
		"":                            "0 1 2 3",
		"--response dark,fence":       "0 2",
		"--response dark --proven":    "",
		"--pattern portscan":          "0 1",
		"--pattern sweep --country x": "",
		"--country nl,DE":             "0 1 3",
		"--proven":                    "1 3",
		"--proven=false":              "0 2",
		"--within 192.0.2.0/24":       "0 1",
		"--within 192.0.2.1":          "0 1",
		"--within 192.0.0.0/16":       "0 1 2",
		"--within 2001:db8::/32":      "3",
		"--since 30m":                 "0 3",
		"--since yesterday":           "0 1 2 3",
		"--since today":               "0 1 3",
		"--response deaf":             "?",
		"--within here":               "?",
		"--since someday":             "?",
	} {
		var f filter
		cmd := &cobra.Command{}
		f.flags(cmd)
		if err := cmd.ParseFlags(strings.Fields(args)); err != nil {
			t.Fatal(err)
		}
		var got []string
		if err := f.parse(now); err != nil {
			got = []string{"?"}
		} else {
			for i := range list {
				if f.Passes(&list[i]) {
					got = append(got, string(rune('0'+i)))
				}
			}
		}
		if g := strings.Join(got, " "); g != want {
			t.Errorf("%s: %q, want %q", args, g, want)
		}
		if f.changed() != (args != "") {
			t.Errorf("%s: changed is %v", args, f.changed())
		}
	}
}
