// SPDX-License-Identifier: MIT

// Package gunzip reads files that may be compressed, as logrotate leaves them.
package gunzip

import (
	"bufio"
	"compress/gzip"
)

// Reader returns what b holds, decompressed if it begins as gzip does (RFC 1952, 2.3.1), with a
// buffer of the same size; otherwise b itself. The errors are gzip's.
func Reader(b *bufio.Reader) (*bufio.Reader, error) {
	if magic, _ := b.Peek(2); string(magic) != "\x1f\x8b" {
		return b, nil
	}
	z, err := gzip.NewReader(b)
	if err != nil {
		return nil, err
	}
	return bufio.NewReaderSize(z, b.Size()), nil
}
