// SPDX-License-Identifier: MIT

package show

import (
	"io"
	"strings"
	"testing"
	"time"
)

// A long reading says how far it is, and leaves nothing behind; where there is
// no terminal it says nothing.
func TestProgress(t *testing.T) {
	var out strings.Builder
	read := func(p *Progress) {
		if _, err := io.Copy(io.Discard, p.Reader(strings.NewReader("12345"))); err != nil {
			t.Fatal(err)
		}
		for range 5000 {
			p.Step()
		}
		p.End()
	}
	read(NewProgress(&out))
	if out.Len() > 0 {
		t.Errorf("where there is no terminal: %q", &out)
	}
	read(&Progress{out: &out, Size: 10, last: time.Now().Add(-time.Minute)})
	if got := out.String(); got != "\r4096 events read, 50 %\x1b[K\r\x1b[K" {
		t.Errorf("%q", got)
	}
	out.Reset()
	read(&Progress{out: &out, last: time.Now()})
	if out.Len() > 0 {
		t.Errorf("within a second: %q", &out)
	}
}
