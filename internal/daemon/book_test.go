// SPDX-License-Identifier: MIT

package daemon

import (
	"net/netip"
	"testing"
	"time"

	"picket/engine"
	"picket/internal/event"
)

func TestNotBlocked(t *testing.T) {
	book := newBook()
	for _, p := range []string{"198.51.100.0/24", "198.51.0.0/16", "203.0.113.9/32", "2001:db8:0:1::/64"} {
		book.enter(ref{engine.Block, netip.MustParsePrefix(p)}, time.Time{}, time.Time{}, event.Event{})
	}
	for p, want := range map[string]string{
		"198.51.100.10/32":    `198.51.100.10 is blocked as part of 198.51.100.0/24: "picket unblock 198.51.100.0/24" ends that`,
		"198.51.7.0/24":       `198.51.7.0/24 is blocked as part of 198.51.0.0/16: "picket unblock 198.51.0.0/16" ends that`,
		"2001:db8:0:1::9/128": `2001:db8:0:1::9 is blocked as part of 2001:db8:0:1::/64: "picket unblock 2001:db8:0:1::/64" ends that`,
		"203.0.113.0/24":      `203.0.113.0/24 is not blocked: "picket blocks" lists who is`,
		"2001:db8:0:2::9/128": `2001:db8:0:2::9 is not blocked: "picket blocks" lists who is`,
	} {
		if got := book.notBlocked(netip.MustParsePrefix(p)).Error(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
