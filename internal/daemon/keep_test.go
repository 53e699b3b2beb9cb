// SPDX-License-Identifier: MIT

package daemon

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"
)

// TestBound: no clock makes a block last longer than it was granted.
func TestBound(t *testing.T) {
	saved := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	p := netip.MustParsePrefix("192.0.2.7/32")
	for _, test := range []struct {
		name  string
		clock time.Duration // how far from when it was saved
		want  time.Duration // what is left of the hour
	}{
		{"at once", 0, time.Hour},
		{"later", 20 * time.Minute, 40 * time.Minute},
		{"over", time.Hour, 0},
		{"a clock without a battery", -50 * 365 * 24 * time.Hour, time.Hour},
		{"a clock set back by less", -time.Minute, time.Hour},
	} {
		now := saved.Add(test.clock)
		k := keptBlock{Source: p, Since: saved, Until: saved.Add(time.Hour)}
		if ok := k.bound(now); ok != (test.want > 0) {
			t.Errorf("%s: in force %v", test.name, ok)
		} else if ok && (k.Until.Sub(now) != test.want || k.Since.After(now)) {
			t.Errorf("%s: from %v to %v at %v", test.name, k.Since, k.Until, now)
		}
	}
	if k := (keptBlock{Since: saved, Until: saved.Add(time.Hour)}); k.bound(saved) {
		t.Error("a block of nobody is in force")
	}
}

// Blocks of the same reason share its text, and no more texts are looked for than
// there is room for.
func TestShare(t *testing.T) {
	words := make(map[string]string)
	for i := range 2 * mostWords {
		k := keptBlock{Reason: strings.Clone("above the trigger"), Evidence: strconv.Itoa(i), Tool: ""}
		k.share(words)
		if k.Reason != "above the trigger" || k.Evidence != strconv.Itoa(i) || k.Tool != "" {
			t.Fatalf("%+v", k)
		}
		if first := words[k.Reason]; unsafe.StringData(first) != unsafe.StringData(k.Reason) {
			t.Fatal("a text of its own")
		}
	}
	if len(words) != mostWords {
		t.Errorf("%d texts", len(words))
	}
}
