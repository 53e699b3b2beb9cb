// SPDX-License-Identifier: MIT

package config

import (
	"slices"
	"testing"

	"picket/engine"
	"picket/internal/probe"
)

// TestInvite: invitation is off by default. If on, engine and rules know the same
// ports, without the classic ones. With nobody to lead there is a warning.
func TestInvite(t *testing.T) {
	const ports = "[tcp]\nclassic = \"7,300\"\nstealth = \"7,9,23\"\nadvanced = \"20-400\"\n" +
		"exclude = \"113\"\n"
	const scored = "[trap]\ninvite = \"scored\"\n"
	for _, test := range []struct {
		name, text string
		on, told   bool
	}{
		{"the default", "", false, false},
		{"on", scored, true, false},
		{"on, without classic mode", "modes = [\"stealth\", \"advanced\"]\n" + scored, true, false},
		{"blocks alone", scored + "[block]\nstyle = \"block\"\n", false, true},
		{"no block", "action = \"log\"\n" + scored, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := Parse("p.toml", []byte(ports+test.text))
			if err != nil {
				t.Fatal(err)
			}
			e, rules := c.Engine(nil, 32768, true), c.Elements()
			var want []engine.Ports
			if test.on {
				want = ranges(9, 9, 20, 112, 114, 299, 301, 400)
				if !c.TCP.Modes.Has(probe.Classic) {
					want = ranges(7, 7, 9, 9, 20, 112, 114, 400)
				}
			}
			if rules.Invite != test.on || !slices.Equal(e.Invited, want) {
				t.Errorf("rules: %v; engine: %v, want %v", rules.Invite, e.Invited, want)
			}
			if told := len(c.Warnings) > 0; told != test.told {
				t.Errorf("warnings %v", c.Warnings)
			}
		})
	}
	c, err := Parse("p.toml", []byte(ports))
	if err != nil {
		t.Fatal(err)
	}
	for port, want := range map[uint16]probe.Mode{
		7: probe.Classic, 300: probe.Classic, 23: probe.Stealth, 24: probe.Advanced,
	} {
		if got := c.Connected(port); got != want {
			t.Errorf("a connection to %d is one of %v, want %v", port, got, want)
		}
	}
}

// ranges makes a range of each two numbers.
func ranges(ends ...uint16) (out []engine.Ports) {
	for i := 0; i < len(ends); i += 2 {
		out = append(out, engine.Ports{From: ends[i], To: ends[i+1]})
	}
	return out
}
