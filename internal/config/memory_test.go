// SPDX-License-Identifier: MIT

package config

import "testing"

func TestMemory(t *testing.T) {
	for _, test := range []struct {
		text    string
		sources int
		bound   int64
	}{
		{"", 87_381, 64 << 20},
		{"memory = \"40M\"\n", 3495, 40 << 20},
		{"memory = \"128M\"\n", 311_077, 128 << 20},
		{"memory = \"16G\"\n", 1 << 20, 16 << 30},
		{"[evidence]\nmemory = \"0\"\n", 115_343, 64 << 20},
		// A set size holds, and the process may take as much.
		{"[evidence]\nmemory = \"1G\"\n", 87_381, 1<<30 + 31<<20 + 87_381*300},
		{"[detect]\nsources = 262144\n", 262_144, 31<<20 + 8<<20 + 262_144*300},
		{"memory = \"128M\"\n[detect]\nsources = 2048\n", 2048, 128 << 20},
	} {
		c, err := Parse("p.toml", []byte(test.text))
		if err != nil || c.Detect.Sources != test.sources || c.Bound() != test.bound {
			t.Errorf("%q: %v, %d sources, bound %d, want %d and %d", test.text, err, c.Detect.Sources,
				c.Bound(), test.sources, test.bound)
		}
	}
	for _, text := range []string{"memory = \"0\"\n", "memory = \"39M\"\n", "memory = 64\n",
		"[detect]\nsources = 1023\n"} {
		if _, err := Parse("p.toml", []byte(text)); err == nil {
			t.Errorf("%q has no fault", text)
		}
	}
}
