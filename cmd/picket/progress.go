// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"io"
	"time"

	"picket/internal/show"
)

// A progress tells on a terminal how far a long reading is, from its first
// second on. It is for one goroutine.
type progress struct {
	out  io.Writer // nil where there is no terminal
	size int64     // bytes of all, 0 if that is not known
	read int64
	n    int
	last time.Time
	told bool
}

func newProgress(out io.Writer) *progress {
	p := &progress{last: time.Now()}
	if _, ok := show.Terminal(out); ok {
		p.out = out
	}
	return p
}

// event counts an event.
func (p *progress) event() {
	const often = 4096 // to ask for the time with every event would be felt
	if p.n++; p.out == nil || p.n%often != 0 || time.Since(p.last) < time.Second {
		return
	}
	p.last, p.told = time.Now(), true
	fmt.Fprintf(p.out, "\r%s\x1b[K", p.words())
}

func (p *progress) words() string {
	if p.size == 0 {
		return fmt.Sprintf("%d events read", p.n)
	}
	return fmt.Sprintf("%d events read, %d %%", p.n, min(p.read*100/p.size, 100))
}

// end takes the words off the terminal again.
func (p *progress) end() {
	if p.told {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// reader counts what is read.
func (p *progress) reader(r io.Reader) io.Reader { return counted{r, &p.read} }

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
