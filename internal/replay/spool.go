// SPDX-License-Identifier: MIT

package replay

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// ErrDevice says that a file is a terminal or another device: there is no
// capture in it, or no end to it.
var ErrDevice = errors.New("a device: save the capture to a file, or pipe it in")

// Named is the capture in a file, or for "-" that of standard input. A pipe is read to
// its end at once, for as long as its writer takes, into a temporary file without a name,
// since it must be read twice; only the disk bounds it. The error, an *[Error], is of the
// pipe or of a device; [Run] reports what is wrong with a file.
func Named(name string) (Source, error) {
	if name == "-" {
		if info, err := os.Stdin.Stat(); err == nil && info.Mode()&fs.ModeDevice != 0 {
			return Source{}, whole(name, ErrDevice)
		}
		return spool(name, os.Stdin)
	}
	info, err := os.Stat(name)
	switch {
	case err != nil, info.Mode().IsRegular(), info.IsDir():
		return File(name), nil
	case info.Mode()&fs.ModeDevice != 0:
		return Source{}, whole(name, ErrDevice)
	}
	f, err := os.Open(name)
	if err != nil {
		return Source{}, whole(name, err)
	}
	defer f.Close()
	return spool(name, f)
}

// spool copies a pipe into a temporary file that ends with the process. The file lies in
// /var/tmp, since /tmp may be memory (file-hierarchy(7)).
func spool(name string, from io.Reader) (Source, error) {
	folder := cmp.Or(os.Getenv("TMPDIR"), "/var/tmp")
	f, err := os.CreateTemp(folder, "picket-replay-")
	size := int64(0)
	if err == nil {
		if err = os.Remove(f.Name()); err == nil {
			size, err = io.Copy(f, from)
		}
	}
	if err != nil {
		f.Close() // nil is allowed
		return Source{}, whole(name, fmt.Errorf("after %d bytes, which are kept in %s to be read twice "+
			"($TMPDIR names another folder): %w", size, folder, bare(err)))
	}
	return Source{Name: name, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(io.NewSectionReader(f,
			0, size)), nil
	}}, nil
}
