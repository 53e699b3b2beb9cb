// SPDX-License-Identifier: MIT

package config

import (
	"strings"
	"testing"
)

// A file names the networks behind the host by words and prefixes; Says names them in words.
func TestForward(t *testing.T) {
	for text, want := range map[string]string{
		"": "the networks of containers and virtual machines and published ports are judged; " +
			"who scans from there is told of",
		`networks = []`: "nothing is judged",
		`networks = ["lans"]
egress = "off"`: "routed LANs are judged",
		`networks = ["203.0.113.0/24"]
egress = "off"`: "203.0.113.0/24 is judged",
		`networks = ["2001:db8::/32", "containers", "203.0.113.9"]
egress = "off"`: "the networks of containers and virtual machines, published ports, 2001:db8::/32 and " +
			"203.0.113.9/32 are judged",
	} {
		c, err := Parse("p.toml", []byte("[forward]\n"+text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		e := c.Elements()
		if got := c.Forward.Says(); got != want || e.Published == (text == "networks = []") ||
			e.Egress == strings.Contains(text, "off") {
			t.Errorf("%q: says %q, published %v, egress %v", text, got, e.Published, e.Egress)
		}
	}
	for text, want := range map[string]string{
		`networks = ["lan"]`:       `"lan" is no network behind this host: want "containers", "lans"`,
		`networks = ["0.0.0.0/0"]`: `"0.0.0.0/0" is no network behind this host`,
		`networks = "lans"`:        `is text: want a list`,
		`egress = "block"`:         `is "block": want "off" or "log"`,
	} {
		if _, err := Parse("p.toml", []byte("[forward]\n"+text)); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
