// SPDX-License-Identifier: MIT

// Package state keeps the memory that outlives a process in one file: whole or
// not at all, and never lost to a mistake.
//
// A file is one header line (what it is, in which version, how long, with what
// checksum) and then bytes of the caller's. Save replaces it atomically; after
// a crash or a power cut there is the old one or the new one. What Load cannot
// use (damaged, cut, of another program or version) it refuses, and sets aside
// under a name that says when: it is never fatal and never deleted.
//
// A [Saver] does so again and again. One process at a time may save to a path.
package state

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A File names a state file and what is in it.
type File struct {
	Path    string
	Kind    string // one word: what is in it, "state" for instance
	Version int    // of the form of its contents; a file of another version is not read
}

// Of returns the file of that kind in the first directory of $STATE_DIRECTORY, by
// default /var/lib/picket.
func Of(kind string, version int) File {
	dir, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":")
	return File{Path: filepath.Join(cmp.Or(dir, "/var/lib/picket"), kind), Kind: kind, Version: version}
}

// Forget removes the file, if it is there.
func (f File) Forget() error {
	if err := os.Remove(f.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// ErrSetAside is wrapped by Load's error when there was a file that it could
// not use. The caller starts without.
var ErrSetAside = errors.New("set aside")

// ErrInterrupted is for the error of what Load calls to read, where the file is not
// to blame: Load returns it and leaves the file as it is.
var ErrInterrupted = errors.New("interrupted")

// header is of fixed length, so that it can be written last.
const header = "picket %-16s version %08d length %016d crc32c %08x\n"

var headerLength = int64(len(fmt.Sprintf(header, "", 0, 0, 0)))

// castagnoli is the polynomial that processors have an instruction for.
func checksum() hash.Hash32 { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }

// Save replaces the file by what write writes, which need not be buffered, and
// makes its directory where there is none. If it fails, the old file is as it was.
func (f File) Save(write func(io.Writer) error) error {
	if err := f.save(write); err != nil {
		return fmt.Errorf("save state %s: %w", f.Path, err)
	}
	return nil
}

func (f File) save(write func(io.Writer) error) (err error) {
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o700); err != nil {
		return err
	}
	temporary := f.Path + ".new"
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // it is left by a crash, or somebody's directory
	}
	out, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temporary))
		}
	}()
	if err := errors.Join(f.fill(out, write), out.Close()); err != nil {
		return err
	}
	if err := os.Rename(temporary, f.Path); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(f.Path))
}

// fill writes contents and header, and waits until they are on the disk.
func (f File) fill(out *os.File, write func(io.Writer) error) error {
	if _, err := out.Seek(headerLength, io.SeekStart); err != nil {
		return err
	}
	sum := checksum()
	buffered := bufio.NewWriterSize(io.MultiWriter(out, sum), 64<<10)
	if err := errors.Join(write(buffered), buffered.Flush()); err != nil {
		return err
	}
	end, err := out.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	if _, err := out.WriteAt(f.header(end-headerLength, sum.Sum32()), 0); err != nil {
		return err
	}
	return out.Sync()
}

func (f File) header(length int64, sum uint32) []byte {
	return fmt.Appendf(nil, header, f.Kind, f.Version, length, sum)
}

// Load has read read the contents of the file, once they are known to be what
// Save wrote. found is false when there is no file.
//
// A file that cannot be used, because of itself or because read fails, is
// renamed to PATH.bad-TIME; the error then wraps ErrSetAside and says why. What read
// has taken over before it fails is as it was saved: its checksum is compared first.
func (f File) Load(read func(io.Reader) error) (found bool, err error) {
	err = f.load(read)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil || errors.Is(err, ErrInterrupted) {
		return true, err
	}
	aside, failed := setAside(f.Path)
	if failed != nil {
		return false, fmt.Errorf("load state %s: %w; %w could not be done: %w", f.Path, err, ErrSetAside,
			failed)
	}
	return false, fmt.Errorf("load state %s: %w; it is %w as %s, and picket goes on without", f.Path, err,
		ErrSetAside, aside)
}

func (f File) load(read func(io.Reader) error) error {
	// Neither a link to elsewhere nor a pipe that waits for its writer.
	in, err := os.OpenFile(f.Path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	if err := f.verify(in, info.Size()); err != nil {
		return err
	}
	if _, err := in.Seek(headerLength, io.SeekStart); err != nil {
		return err
	}
	if err := read(bufio.NewReaderSize(in, 64<<10)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = errors.New(err.Error()) // there is a file
		}
		return fmt.Errorf("contents: %w", err)
	}
	return nil
}

// verify reads the file once and compares it to its header.
func (f File) verify(in io.Reader, size int64) error {
	line := make([]byte, headerLength)
	if n, err := io.ReadFull(in, line); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("cut off: %d bytes are too few for the header", n)
	} else if err != nil {
		return err
	}
	var kind string
	var version int
	var length int64
	var sum uint32
	if _, err := fmt.Sscanf(string(line), "picket %s version %d length %d crc32c %x\n", &kind, &version,
		&length, &sum); err != nil {
		return fmt.Errorf("not a state file of picket: it begins %.20q", line)
	}
	if kind != f.Kind {
		return fmt.Errorf("it holds %q, not %q", kind, f.Kind)
	}
	if version != f.Version {
		return fmt.Errorf("version %d of its contents, where this picket reads %d", version, f.Version)
	}
	if size != headerLength+length {
		return fmt.Errorf("cut off or grown: %d bytes where its header says %d", size, headerLength+length)
	}
	found := checksum()
	if _, err := io.Copy(found, in); err != nil {
		return err
	}
	if found.Sum32() != sum {
		return fmt.Errorf("damaged: checksum %08x where its header says %08x", found.Sum32(), sum)
	}
	return nil
}

// setAside renames path and never replaces anything by it.
func setAside(path string) (aside string, err error) {
	stamp := path + ".bad-" + time.Now().UTC().Format("20060102T150405Z")
	for i := range 100 {
		aside = stamp
		if i > 0 {
			aside = fmt.Sprintf("%s-%d", stamp, i)
		}
		err = unix.Renameat2(unix.AT_FDCWD, path, unix.AT_FDCWD, aside, unix.RENAME_NOREPLACE)
		if !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	if err != nil {
		return "", &os.LinkError{Op: "rename", Old: path, New: aside, Err: err}
	}
	return aside, nil
}

// syncDirectory makes a rename last.
func syncDirectory(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
