// SPDX-License-Identifier: MIT

package journalfile

import (
	"fmt"
	"io"
)

// The pages in memory: the newest one for each slot.
const (
	pageSize = 16 << 10
	maxPages = 512
)

// pages reads a file by pages. Entries lie beside their values, so most reads find their page
// in memory. A mapping would be as fast, but then SIGBUS ends the process when journald
// truncates a file.
type pages struct {
	r     io.ReaderAt
	kept  []page
	whole []byte // the buffer of a read across pages
}

type page struct {
	number uint64 // from 1
	data   []byte
}

// read returns n bytes at a place, valid until the next call.
func (p *pages) read(at uint64, n int) ([]byte, error) {
	if at > 1<<62 {
		return nil, fmt.Errorf("%w: it leads to %d", ErrFormat, at)
	}
	number, from := at/pageSize, int(at%pageSize)
	b, err := p.page(number)
	if err != nil {
		return nil, err
	}
	if from+n <= len(b) {
		return b[from : from+n], nil
	}
	p.whole = p.whole[:0]
	for len(b) == pageSize && len(p.whole) < n {
		p.whole = append(p.whole, b[from:min(pageSize, from+n-len(p.whole))]...)
		if len(p.whole) == n {
			return p.whole, nil
		}
		number, from = number+1, 0
		if b, err = p.page(number); err != nil {
			return nil, err
		}
	}
	if rest := n - len(p.whole); from+rest <= len(b) {
		return append(p.whole, b[from:from+rest]...), nil
	}
	return nil, fmt.Errorf("%w: it ends before %d", ErrFormat, at+uint64(n))
}

// forget makes the next read of a place read the file.
func (p *pages) forget(at uint64) { p.kept[at/pageSize%maxPages].number = 0 }

func (p *pages) page(number uint64) ([]byte, error) {
	if p.kept == nil {
		p.kept = make([]page, maxPages)
	}
	k := &p.kept[number%maxPages]
	if k.number == number+1 {
		return k.data, nil
	}
	if cap(k.data) == 0 {
		k.data = make([]byte, pageSize)
	}
	n, err := p.r.ReadAt(k.data[:pageSize], int64(number*pageSize))
	if err != nil && err != io.EOF {
		k.number = 0
		return nil, err
	}
	k.number, k.data = number+1, k.data[:n]
	return k.data, nil
}
