// SPDX-License-Identifier: MIT

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"picket/internal/show"
)

// What is written for people. Names, reasons, keys and what peers sent come
// from outside, and a terminal obeys control characters: here they are taken
// out, of whatever is a line of standard error or a cell of a table.

// complain writes to standard error, each line behind "picket: " and what kind
// of complaint it is.
func complain(kind, text string) {
	for line := range strings.SplitSeq(text, "\n") {
		first := "picket: " + kind
		show.Lines(os.Stderr, first, strings.Repeat(" ", len(first)), line, show.Width(os.Stderr))
	}
}

// warn tells what does not keep a command from its work.
func warn(format string, args ...any) { complain("warning: ", fmt.Sprintf(format, args...)) }

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
