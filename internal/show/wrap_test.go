// SPDX-License-Identifier: MIT

package show

import (
	"strings"
	"testing"
)

func TestWrap(t *testing.T) {
	for _, test := range []struct {
		text    string
		columns int
		want    string
	}{
		{"one two three", 0, "one two three"},
		{"one two three", 13, "one two three"},
		{"one two three", 8, "one two|three"},
		{"one two three", 7, "one two|three"},
		{"one two three", 3, "one|two|thr|ee"},
		{"", 5, ""},
		{"\u65e5\u672c \u8a9e\u65e5", 8, "\u65e5\u672c|\u8a9e\u65e5"}, // each is two columns wide
		{"\u65e5\u672c\u8a9e", 5, "\u65e5\u672c|\u8a9e"},
		{"\u65e5\u672c", 1, "\u65e5|\u672c"},
		{"ports: 1,22,333,4444", 12, "ports: 1,22,|333,4444"},
		{"it is set by a = 1, and b", 15, "it is set by|a = 1, and b"},
		{`say "picket unblock" twice`, 40, `say "picket unblock" twice`},
		{`then say "un block" twice`, 16, `then say|"un block" twice`},
	} {
		if got := strings.Join(Wrap(test.text, test.columns), "|"); got != test.want {
			t.Errorf("%q in %d: %q, want %q", test.text, test.columns, got, test.want)
		}
	}
}

func TestReflow(t *testing.T) {
	const text = "one two\nthree\n\nfour:\n\n\tfive six seven\n\neight\n  nine\n"
	const want = "one two three\n\nfour:\n\n\tfive six seven\n\neight\n  nine"
	if got := Reflow(text, 13); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
