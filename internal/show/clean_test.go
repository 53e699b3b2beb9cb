// SPDX-License-Identifier: MIT

package show

import "testing"

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"a\x1b[31m\x00\n\x7f\u009b\u202e\u2066b\xff\u00e4": "a?[31m??????b?\u00e4",
		"zero\u200bwidth \u200f\u061c":                     "zero?width ??",
		"plain":                                            "plain",
	} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCleanLines(t *testing.T) {
	if got, want := CleanLines("a\tb\r\n\x1b[2J\u2028\n\xff"), "a\tb?\n?[2J?\n?"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestCutCountsColumns(t *testing.T) {
	for in, want := range map[string]string{
		"\u65e5\u672c\u8a9e":               "\u65e5\u672c",
		"abcdef":                           "abcde",
		"a\u0301\u0301\u0301\u0301\u0301b": "a\u0301\u0301\u0301\u0301",
	} {
		if got := Cut(in, 5); got != want {
			t.Errorf("Cut(%q, 5) = %q, want %q", in, got, want)
		}
	}
}
