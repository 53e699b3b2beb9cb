// SPDX-License-Identifier: MIT

package show

import (
	"strings"
	"testing"

	"github.com/mattn/go-runewidth"
)

// TestTable: columns count, not runes; numbers stand to the right; an empty column
// is left out, and an empty cell is a dash.
func TestTable(t *testing.T) {
	x := Table{Head: []string{"NAME", "EMPTY", "N"}}
	x.Add("\u65e5\u672c\u8a9e", "", "1")
	x.Add("a\x1bb", "", "22")
	x.Add("", "", "")
	var out strings.Builder
	x.Print(&out)
	const want = "NAME     N\n\u65e5\u672c\u8a9e   1\na?b     22\n-        -\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
}

func TestBeside(t *testing.T) {
	one, two, none, three := &Table{Head: []string{"ONE", ""}}, &Table{Head: []string{"TWO", ""}},
		&Table{Head: []string{"NONE", ""}}, &Table{Head: []string{"THREE", ""}}
	one.Add("\u65e5\u672c", "100")
	two.Add("a", "1")
	two.Add("b", "2")
	three.Add("c", "3")
	var out strings.Builder
	Beside(&out, 20, one, two, none, three)
	const want = "\nONE         TWO\n\u65e5\u672c  100   a    1\n            b    2\n\nTHREE\nc      3\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
}

// TestList: no line is wider than the terminal; on a narrow one the text stands below.
func TestList(t *testing.T) {
	l := List{Head: []string{"WHO", "NIL"}, Last: "WHAT"}
	l.Add([]string{strings.Repeat("\u65e5\u672c\u8a9e ", 20), "then"}, "\u65e5\u672c", "")
	for _, width := range []int{30, 80} {
		var out strings.Builder
		l.Print(&out, width)
		for line := range strings.Lines(out.String()) {
			if n := runewidth.StringWidth(strings.TrimSuffix(line, "\n")); n > width {
				t.Errorf("%d columns of %d: %q", n, width, line)
			}
		}
		if below := strings.HasPrefix(out.String(),
			"WHO\n    WHAT\n\u65e5\u672c\n    \u65e5"); below != (width == 30) {
			t.Errorf("width %d:\n%s", width, &out)
		}
		if !strings.HasSuffix(out.String(), " then\n") {
			t.Errorf("width %d: the second text has no line of its own:\n%s", width, &out)
		}
	}
	var out strings.Builder
	l.Print(&out, 0)
	if strings.Count(out.String(), "\n") != 2 || !strings.HasSuffix(out.String(), "; then\n") {
		t.Error(out.String())
	}
}

func TestNumbers(t *testing.T) {
	for got, want := range map[string]string{
		Plural(1, "port"): "1 port", Plural(2, "address"): "2 addresses", Plural(0, "port"): "0 ports",
		Ordinal(1): "1st", Ordinal(2): "2nd", Ordinal(3): "3rd", Ordinal(4): "4th", Ordinal(11): "11th",
		Ordinal(112): "112th", Ordinal(121): "121st",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestTableOnATerminal: spare columns go first, then the last one is wrapped or goes below.
func TestTableOnATerminal(t *testing.T) {
	table := &Table{Head: []string{"WHO", "SINCE", "N", "WHY"}, Spare: []string{"NONE", "SINCE"}}
	table.Add("192.0.2.1", "2026-11-30", "7", "one two three four five six seven eight nine ten eleven")
	table.Add("192.0.2.22", "2026-11-30", "1234", "")
	for width, want := range map[int]string{
		100: "WHO         SINCE          N  WHY\n" +
			"192.0.2.1   2026-11-30     7  one two three four five six seven eight nine ten eleven\n" +
			"192.0.2.22  2026-11-30  1234  -\n",
		64: "WHO         SINCE          N  WHY\n" +
			"192.0.2.1   2026-11-30     7  one two three four five six seven\n" +
			"                              eight nine ten eleven\n" +
			"192.0.2.22  2026-11-30  1234  -\n",
		40: "WHO         SINCE          N\n    WHY\n" +
			"192.0.2.1   2026-11-30     7\n    one two three four five six seven\n" +
			"    eight nine ten eleven\n" +
			"192.0.2.22  2026-11-30  1234\n    -\n",
		20: "WHO            N\n    WHY\n" +
			"192.0.2.1      7\n    one two three\n    four five six\n    seven eight nine\n    ten eleven\n" +
			"192.0.2.22  1234\n    -\n",
		15: "WHO N\n    WHY\n192.0.2.1 7\n    one two\n    three four\n    five six\n    seven eight\n" +
			"    nine ten\n    eleven\n192.0.2.22\n    1234\n    -\n",
		0: "WHO         SINCE          N  WHY\n" +
			"192.0.2.1   2026-11-30     7  one two three four five six seven eight nine ten eleven\n" +
			"192.0.2.22  2026-11-30  1234  -\n",
	} {
		var out strings.Builder
		table.PrintOn(&out, width)
		if out.String() != want {
			t.Errorf("%d columns:\n%swant\n%s", width, out.String(), want)
		}
	}
}
