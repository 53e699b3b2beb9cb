// SPDX-License-Identifier: MIT

package gunzip

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"testing"
)

// TestReader: text is read as it is, and what is compressed as what it was.
func TestReader(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = io.WriteString(z, "a line\n")
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{"": "", "\x1f": "\x1f", "a line\n": "a line\n",
		packed.String(): "a line\n"} {
		r, err := Reader(bufio.NewReaderSize(strings.NewReader(in), 99))
		if err != nil || r.Size() != 99 {
			t.Fatalf("%q: %v", in, err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	if _, err := Reader(bufio.NewReader(strings.NewReader("\x1f\x8b no more"))); err == nil {
		t.Error("what only begins as gzip is read")
	}
}
