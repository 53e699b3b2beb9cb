// SPDX-License-Identifier: MIT

package addresses

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
)

// Gather returns the sources of a command line, by single ones and by lists in files.
// "-" is the list on standard input in either. The error has all faults; to have no
// source is one.
func Gather(single, files []string, stdin io.Reader) (out []string, err error) {
	var wrong []error
	for _, s := range single {
		if s == "-" {
			files = append(files, s)
		} else if p, why := Source(s); why == "" {
			out = append(out, p.String())
		} else {
			wrong = append(wrong, fmt.Errorf("%q is no address or prefix", s))
		}
	}
	for _, f := range files {
		list, err := read(f, stdin)
		if err != nil {
			wrong = append(wrong, err)
		}
		for _, p := range list {
			out = append(out, p.String())
		}
	}
	if len(wrong) == 0 && len(out) == 0 {
		wrong = append(wrong, errors.New("the list is empty: want an address or a prefix on each line"))
	}
	return out, errors.Join(wrong...)
}

func read(file string, stdin io.Reader) ([]netip.Prefix, error) {
	if file != "-" {
		return ReadFile(file)
	}
	list, err := Read(stdin)
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	return list, nil
}
