// SPDX-License-Identifier: MIT

package history

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// mode is that of a new file: root writes, a group may read.
const mode = 0o640

// A File is an open history file. Its methods may be called by several
// goroutines. None of its errors is a reason to stop: report it and go on.
type File struct {
	path   string
	format Format

	mu  sync.Mutex
	f   *os.File // nil: not open
	buf []byte
}

// Open opens the file for appending; a new one has mode 0640. With empty it
// empties it, as the file of this run's blocks.
func Open(path string, format Format, empty bool) (*File, error) {
	h := &File{path: path, format: format}
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	h.f = f
	if empty {
		if err := f.Truncate(0); err != nil {
			f.Close()
			return nil, fmt.Errorf("empty %s: %w", path, err)
		}
	}
	return h, nil
}

func open(path string) (*os.File, error) {
	const flags = os.O_WRONLY | os.O_APPEND | unix.O_NOFOLLOW | unix.O_NONBLOCK
	f, err := os.OpenFile(path, flags|os.O_CREATE|os.O_EXCL, mode)
	if err == nil {
		if err = f.Chmod(mode); err == nil { // with any umask
			return f, nil
		}
	} else if errors.Is(err, fs.ErrExist) {
		f, err = os.OpenFile(path, flags, 0)
	}
	switch {
	case errors.Is(err, unix.ELOOP):
		return nil, fmt.Errorf("open history: %w: a symbolic link; name the file that it leads to", err)
	case errors.Is(err, unix.EROFS), errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("open history: %w: under systemd, give the unit ReadWritePaths= or "+
			"LogsDirectory= with its directory", err)
	case err != nil:
		return nil, fmt.Errorf("open history: %w", err)
	}
	if err := trust(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("open history: %s: %w", path, err)
	}
	return f, nil
}

// trust refuses a file that somebody else may have put there.
func trust(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid != 0 && int(uid) != os.Geteuid() {
		return fmt.Errorf("belongs to user %d, who could change it: chown it to picket's user", uid)
	}
	return nil
}

// Write appends the record's line, if it has one. After a failed [File.Reopen]
// it tries to open the file again.
func (h *File) Write(r Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	b, err := h.format.Append(h.buf[:0], r)
	if err != nil || len(b) == 0 {
		return err
	}
	h.buf = b
	if h.f == nil {
		if h.f, err = open(h.path); err != nil {
			return err
		}
	}
	if _, err := h.f.Write(b); err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	return nil
}

// Reopen opens the path anew, after logrotate renamed the old file. If that fails
// the next [File.Write] tries again: lines are lost, each with its error, and none
// goes into a renamed file.
func (h *File) Reopen() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	err := h.close()
	f, oerr := open(h.path)
	if oerr != nil {
		return errors.Join(err, oerr)
	}
	h.f = f
	return err
}

// Close closes the file.
func (h *File) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.close()
}

func (h *File) close() error {
	if h.f == nil {
		return nil
	}
	err := h.f.Close()
	h.f = nil
	if err != nil {
		return fmt.Errorf("close history: %w", err)
	}
	return nil
}
