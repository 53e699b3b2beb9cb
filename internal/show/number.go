// SPDX-License-Identifier: MIT

package show

import (
	"fmt"
	"strconv"
	"strings"
)

// Plural writes a number of things: "1 port", "2 addresses".
func Plural[N int | uint32 | uint64](n N, what string) string {
	switch {
	case n == 1:
	case strings.HasSuffix(what, "s"):
		what += "es"
	default:
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// Ordinal writes a place in a row: 1st, 2nd, 11th.
func Ordinal[N int | uint32](n N) string {
	suffix := "th"
	if n%100 < 11 || n%100 > 13 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return strconv.FormatInt(int64(n), 10) + suffix
}

// Percent writes a part of a whole: "85.5 %". A part of 0 is "0 %".
func Percent(n, of uint64) string {
	if of == 0 {
		return "0 %"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(of))
}
