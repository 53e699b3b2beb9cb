// SPDX-License-Identifier: MIT

package trial

import (
	"testing"

	"picket/internal/config"
)

// TestInvitedPorts: sources are led to the trap, if at all, from watched ports other than
// trap ports.
func TestInvitedPorts(t *testing.T) {
	const ports = "[tcp]\nclassic = \"7\"\nstealth = \"7,9\"\nadvanced = \"20-400\"\nexclude = \"113\"\n" +
		"[trap]\n"
	for _, invite := range []string{"off", "scored"} {
		c, err := config.Parse("p.toml", []byte(ports+"invite = \""+invite+"\"\n"))
		if err != nil {
			t.Fatal(err)
		}
		l := newLists(c)
		for port, want := range map[uint16]bool{7: false, 9: true, 20: true, 113: false, 401: false} {
			if got := l.invited(port); got != (want && invite == "scored") {
				t.Errorf("%s: invited from %d: %v", invite, port, got)
			}
		}
	}
}
