// SPDX-License-Identifier: MIT

package hostsdeny

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// errChanged is the result of save and remove if the file has changed since load.
var errChanged = errors.New("changed meanwhile")

// A disk is a file as it was loaded.
type disk struct {
	path string      // behind symbolic links
	info fs.FileInfo // nil: no file
	text []byte
}

func (d disk) missing() bool { return d.info == nil }

// load reads the file, or finds none.
func load(path string) (disk, error) {
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(path); err == nil {
			return disk{}, errors.New("a symbolic link that leads nowhere: " +
				"make the file it names, or remove the link")
		}
		return disk{path: path}, nil
	}
	if err != nil {
		return disk{}, err
	}
	// O_NONBLOCK: do not wait for the writer of a named pipe.
	f, err := os.OpenFile(real, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return disk{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return disk{}, err
	case !info.Mode().IsRegular():
		return disk{}, errors.New("not a regular file")
	case info.Size() > MaxSize:
		return disk{}, fmt.Errorf("larger than %d bytes", MaxSize)
	}
	text, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return disk{}, err
	}
	if int64(len(text)) != info.Size() {
		return disk{}, errChanged // in the middle of a write
	}
	return disk{real, info, text}, nil
}

// unchanged checks that the file is as it was loaded.
func (d disk) unchanged() error {
	now, err := os.Stat(d.path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && d.missing():
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case err != nil || d.missing():
		return errChanged
	case !os.SameFile(now, d.info) || now.Size() != d.info.Size() || !now.ModTime().Equal(d.info.ModTime()) ||
		now.Mode() != d.info.Mode():
		return errChanged
	}
	return nil
}

// save writes a new file in the same directory and renames it over the old one.
func (d disk) save(text []byte) error {
	if err := d.writable(); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(d.path), ".picket-hosts.deny-*")
	if err != nil {
		return hint(err)
	}
	defer os.Remove(tmp.Name()) // fails after the rename
	err = d.fill(tmp, text)
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = d.unchanged()
	}
	if err == nil {
		err = os.Rename(tmp.Name(), d.path)
	}
	return hint(err)
}

// fill gives the new file its content, and all attributes of the old one.
func (d disk) fill(tmp *os.File, text []byte) error {
	if _, err := tmp.Write(text); err != nil {
		return err
	}
	mode := fs.FileMode(0o644) // readers of tcpd's need not be root
	if !d.missing() {
		mode = d.info.Mode()
		st := d.info.Sys().(*syscall.Stat_t)
		if err := tmp.Chown(int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
		if err := copyAttrs(d.path, tmp); err != nil {
			return err
		}
	}
	if err := tmp.Chmod(mode); err != nil { // Chown may clear bits
		return err
	}
	return tmp.Sync() // or a crash may leave an empty file after the rename
}

// writable heeds the mode, for root too: it is the owner's will.
func (d disk) writable() error {
	if !d.missing() && d.info.Mode().Perm()&0o222 == 0 {
		return fmt.Errorf("read-only (mode %04o): chmod u+w it, or leave hosts_deny.line empty",
			d.info.Mode().Perm())
	}
	return nil
}

func (d disk) remove() error {
	if err := d.writable(); err != nil {
		return err
	}
	if err := d.unchanged(); err != nil {
		return err
	}
	return hint(os.Remove(d.path))
}

// copyAttrs copies extended attributes: SELinux's label, an ACL. A file system
// without them loses none.
func copyAttrs(from string, to *os.File) error {
	names := make([]byte, 64<<10) // the kernel's XATTR_LIST_MAX
	n, err := unix.Listxattr(from, names)
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list extended attributes: %w", err)
	}
	value := make([]byte, 64<<10) // XATTR_SIZE_MAX
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names[:n]), "\x00"), "\x00") {
		if name == "" {
			continue
		}
		n, err := unix.Getxattr(from, name, value)
		if err == nil {
			err = unix.Fsetxattr(int(to.Fd()), name, value[:n], 0)
		}
		if err != nil {
			return fmt.Errorf("keep extended attribute %q: %w", name, err)
		}
	}
	return nil
}

// hint adds the remedy to an error.
func hint(err error) error {
	switch {
	case errors.Is(err, unix.EROFS):
		return fmt.Errorf("%w: under systemd, give the unit ReadWritePaths= with the file's directory", err)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w: picket must be allowed to write to the directory, "+
			"and the file must not be immutable (lsattr)", err)
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("%w: the file is a mount of its own and cannot be replaced; "+
			"mount its directory instead", err)
	}
	return err
}
