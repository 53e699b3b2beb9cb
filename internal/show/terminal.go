// SPDX-License-Identifier: MIT

package show

import (
	"cmp"
	"io"
	"os"

	"golang.org/x/term"
)

// Terminal returns a function for the size of the terminal out; ok is false if out
// is none. A terminal without a size is 80 columns by 24 lines.
func Terminal(out io.Writer) (size func() (width, height int), ok bool) {
	f, isFile := out.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return nil, false
	}
	return func() (int, int) {
		width, height, err := term.GetSize(int(f.Fd()))
		if err != nil {
			return 80, 24
		}
		return cmp.Or(width, 80), cmp.Or(height, 24)
	}, true
}

// Width returns the columns of the terminal out, 0 if it is none.
func Width(out io.Writer) int {
	size, ok := Terminal(out)
	if !ok {
		return 0
	}
	width, _ := size()
	return width
}
