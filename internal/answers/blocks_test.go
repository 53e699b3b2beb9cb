// SPDX-License-Identifier: MIT

package answers

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"picket/internal/control"
)

// A reason is what the operator wrote: it stays in its cell.
func TestBlocks(t *testing.T) {
	since := time.Date(2026, 11, 22, 12, 0, 0, 0, time.Local)
	var b strings.Builder
	if err := Blocks(&b, []control.Block{
		{Name: "192.0.2.1", Remaining: 3594, Since: since, Reason: "e\x1b[31mvil\nx"},
		{Name: "2001:db8:0:1::/64", Remaining: 86400, Since: since, Drops: 4711, Pattern: "portscan",
			Technique: "syn", Reason: "above the trigger", Known: "censys", Evidence: "list censys"},
		{Name: "192.0.2.3", Remaining: 60, Since: since, Pattern: "portscan", Technique: "fin",
			Reason: "above the trigger", Evidence: "26 different ports, 25 let pass"},
	}); err != nil {
		t.Fatal(err)
	}
	want := `SOURCE             REMAINING  SINCE                DROPS  WHAT          WHY
192.0.2.1          59m54s     2026-11-22 12:00:00      0  -             e?[31mvil?x
2001:db8:0:1::/64  1d         2026-11-22 12:00:00   4711  portscan syn  above the trigger (censys)
192.0.2.3          1m         2026-11-22 12:00:00      0  portscan fin  26 different ports, 25 let pass
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// Each source is printed once, however many responses it has.
func TestAddresses(t *testing.T) {
	var b strings.Builder
	list := []control.Block{{Name: "192.0.2.1"}, {Name: "192.0.2.1"}, {Name: "192.0.2.0/23"}}
	if err := Addresses(&b, list); err != nil || b.String() != "192.0.2.1\n192.0.2.0/23\n" {
		t.Errorf("%v: %q", err, b.String())
	}
}

// A friend for good is shown as such. Without friends there is no table.
func TestAllowed(t *testing.T) {
	since := time.Date(2026, 11, 22, 12, 0, 0, 0, time.Local)
	for want, list := range map[string][]control.Allowed{
		"nobody is allowed by command\n": nil,
		`SOURCE     REMAINING  SINCE                WHY
192.0.2.1  for good   2026-11-22 12:00:00  a?b
192.0.2.2  1h         2026-11-22 12:00:00  -
`: {
			{Name: "192.0.2.1", Since: since, Reason: "a\x1bb"},
			{Name: "192.0.2.2", Since: since, Expires: since, Remaining: 3600},
		},
	} {
		var b strings.Builder
		if err := Allowed(&b, list); err != nil || b.String() != want {
			t.Errorf("%v, got\n%swant\n%s", err, &b, want)
		}
	}
}

// A stream is one JSON value of the blocks that pass the filter, even if the daemon's answer ends
// with an error.
func TestStreamBlocks(t *testing.T) {
	broken := errors.New("broken")
	items := []string{`{"source":"192.0.2.1"}`, `{"source":"192.0.2.2"}`, `{"source":"192.0.2.3"}`}
	for _, x := range []struct {
		n      int
		passes func(*control.Block) bool
		err    error
		want   string
	}{
		{0, nil, nil, "[]\n"},
		{0, nil, broken, ""},
		{2, nil, nil, "[\n" + items[0] + ",\n" + items[1] + "\n]\n"},
		{3, func(b *control.Block) bool {
			return b.Name != "192.0.2.2"
		}, nil, "[\n" + items[0] + ",\n" + items[2] + "\n]\n"},
		{1, nil, broken, "[\n" + items[0] + "\n"},
	} {
		var b strings.Builder
		err := StreamBlocks(&b, x.passes, func(item func(json.RawMessage) error) error {
			for _, text := range items[:x.n] {
				if err := item(json.RawMessage(text)); err != nil {
					return err
				}
			}
			return x.err
		})
		if !errors.Is(err, x.err) || b.String() != x.want {
			t.Errorf("%d: %v, %q, want %q", x.n, err, &b, x.want)
		}
	}
}
