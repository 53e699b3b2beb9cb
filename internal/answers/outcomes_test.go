// SPDX-License-Identifier: MIT

package answers

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"picket/internal/control"
)

func TestDoubts(t *testing.T) {
	for _, x := range []struct {
		list, connected []string
		session, want   string
	}{
		{[]string{"192.0.2.9/32"}, nil, "198.51.100.7 50000 192.0.2.2 22", ""},
		{[]string{"192.0.2.9/32", "198.51.100.0/24"}, nil, "198.51.100.7 50000 192.0.2.2 22",
			"198.51.100.7 is where your own SSH session comes from"},
		{[]string{"2001:db8::/32"}, nil, "2001:db8::7%eth0 50000 2001:db8::2 22",
			"2001:db8::7%eth0 is where"},
		{[]string{"192.0.2.9/32"}, []string{"192.0.2.9"}, "",
			"this host has connections with 192.0.2.9, and the block ends them"},
		{[]string{"192.0.2.0/24"}, []string{"a", "b", "c", "d", "e"}, "nonsense", "a, b, c, 2 more, and"},
	} {
		got := Doubts(x.list, x.connected, x.session)
		if (x.want == "") != (got == "") || !strings.Contains(got, x.want) {
			t.Errorf("%v: %q, want %q", x.list, got, x.want)
		}
	}
}

func TestConfirm(t *testing.T) {
	for answer, ok := range map[string]bool{"y\n": true, " Yes \n": true, "n\n": false, "\n": false,
		"": false, "yess\n": false} {
		var out bytes.Buffer
		if err := Confirm(strings.NewReader(answer), &out, "it\x1b[31m is you"); (err == nil) != ok ||
			out.String() != "picket: it?[31m is you. Block all the same? [y/N] " {
			t.Errorf("%q: %v, %q", answer, err, &out)
		}
	}
}

// To free all when nobody is blocked says so.
func TestNobodyToFree(t *testing.T) {
	var b strings.Builder
	err := Outcomes(&b, control.Request{Command: "unblock", All: true}, nil, "unblocked", "")
	if err != nil || b.String() != "there was nobody to unblock\n" {
		t.Errorf("%v, %q", err, &b)
	}
}

// Few results are printed one by one, many as a number. Sources that stay and failures are
// always printed, and no text reaches the terminal uncleaned.
func TestOutcomes(t *testing.T) {
	few := []control.Outcome{
		{Name: "192.0.2.1\x1b"}, {Name: "192.0.2.2", Kept: true},
		{Name: "192.0.2.3", Error: "no \"address\""},
		{Name: "192.0.2.4", Kept: true, Expires: time.Date(2026, 11, 22, 12, 0, 0, 0, time.Local)},
	}
	var many []control.Outcome
	for range tellEach + 1 {
		many = append(many, control.Outcome{Name: "192.0.2.1"},
			control.Outcome{Name: "192.0.2.2", Kept: true}, control.Outcome{Error: "bad"})
	}
	for _, x := range []struct {
		length string
		list   []control.Outcome
		want   []string
		failed int
	}{
		{"1h", few, []string{"blocked 192.0.2.1? for 1h\n",
			"192.0.2.2 is blocked for good already: that stays\n",
			"192.0.2.4 is blocked until 2026-11-22 12:00:00 already"}, 1},
		{"forever", many, []string{"blocked 101 sources for ever\n",
			"101 sources in all are blocked for longer already\n"}, 101},
		{"", nil, nil, 0},
	} {
		var b strings.Builder
		err := Outcomes(&b, control.Request{For: x.length}, x.list, "blocked", "blocked")
		for _, want := range x.want {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%q lacks %q", &b, want)
			}
		}
		failed := 0
		if err != nil {
			failed = len(strings.Split(err.Error(), "\n"))
		}
		if failed != x.failed {
			t.Errorf("%d errors, want %d", failed, x.failed)
		}
	}
}
