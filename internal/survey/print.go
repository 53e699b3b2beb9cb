// SPDX-License-Identifier: MIT

package survey

import (
	"fmt"
	"io"

	"picket/internal/show"
)

// Print prints the findings, each with its remedy.
func Print(out io.Writer, found []Finding) {
	list := show.List{Head: []string{"", ""}}
	for _, f := range found {
		mark, text := "", []string{f.Text}
		if f.Problem {
			mark = "!"
		}
		if f.Remedy != "" {
			text = append(text, "-> "+f.Remedy)
		}
		list.Add(text, mark, f.About)
	}
	list.Print(out, show.Width(out))
}

// Problems returns an error with the number of problems among the findings, or nil.
func Problems(found []Finding) error {
	n := 0
	for _, f := range found {
		if f.Problem {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("this host has %s, each with its remedy", show.Plural(n, "problem"))
}
