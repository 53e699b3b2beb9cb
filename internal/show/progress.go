// SPDX-License-Identifier: MIT

package show

import (
	"fmt"
	"io"
	"time"
)

// A Progress tells on a terminal how far a long reading is, from its first second
// on. It is for one goroutine.
type Progress struct {
	Size int64     // bytes of all, 0 if that is not known
	out  io.Writer // nil where there is no terminal
	read int64
	n    int
	last time.Time
	told bool
}

// NewProgress returns a progress that tells on out, if it is a terminal.
func NewProgress(out io.Writer) *Progress {
	p := &Progress{last: time.Now()}
	if _, ok := Terminal(out); ok {
		p.out = out
	}
	return p
}

// Step counts an event that was read.
func (p *Progress) Step() {
	const often = 4096 // to ask for the time with every event would be felt
	if p.n++; p.out == nil || p.n%often != 0 || time.Since(p.last) < time.Second {
		return
	}
	p.last, p.told = time.Now(), true
	fmt.Fprintf(p.out, "\r%s\x1b[K", p.words())
}

func (p *Progress) words() string {
	if p.Size == 0 {
		return fmt.Sprintf("%d events read", p.n)
	}
	return fmt.Sprintf("%d events read, %d %%", p.n, min(p.read*100/p.Size, 100))
}

// End takes the words off the terminal again.
func (p *Progress) End() {
	if p.told {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// Reader counts the bytes that are read.
func (p *Progress) Reader(r io.Reader) io.Reader { return counted{r, &p.read} }

type counted struct {
	io.Reader
	n *int64
}

// Read implements io.Reader.
func (c counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	*c.n += int64(n)
	return n, err
}
