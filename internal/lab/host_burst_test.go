// SPDX-License-Identifier: MIT

package lab

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestBurstOfRoutes: more routes change at once than the kernel's queue of notices holds, as
// with a VPN or a BGP feed. A new address of the host is still protected.
func TestBurstOfRoutes(t *testing.T) {
	l := newLab(t)
	d := start(t, l.Target, Options{})
	var batch strings.Builder
	for i := range 50_000 {
		fmt.Fprintf(&batch, "route add blackhole 198.18.%d.%d/32\n", i/250, i%250) // RFC 2544
	}
	if err := l.Target.IP(batch.String()); err != nil {
		t.Fatal(err)
	}
	if err := l.Target.IP("addr add 198.51.100.77/32 dev lo\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "the new address to be protected", func() bool {
		out, err := d.Cmd("explain", "198.51.100.77")
		return err == nil && strings.Contains(out, "is protected")
	})
}
