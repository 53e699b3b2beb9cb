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

// Output for people. Names, reasons, keys and bytes of peers come from outside, and a terminal
// obeys control characters. They are removed here, from each line of standard error and each
// cell of a table.

// complain writes to standard error, each line behind "picket: " and the kind of complaint.
func complain(kind, text string) {
	for line := range strings.SplitSeq(text, "\n") {
		first := "picket: " + kind
		show.Lines(os.Stderr, first, strings.Repeat(" ", len(first)), line, show.Width(os.Stderr))
	}
}

// warn reports a problem that does not stop a command.
func warn(format string, args ...any) { complain("warning: ", fmt.Sprintf(format, args...)) }

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
