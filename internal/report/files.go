// SPDX-License-Identifier: MIT

package report

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"picket/internal/event"
	"picket/internal/journalfile"
)

// errNoFiles means that the journal's files cannot be read here, and that no event was read.
var errNoFiles = errors.New("no journal file that can be read")

var errUnreadable = errors.New("only root and the group systemd-journal may read the journal: use sudo")

// journalFiles reads the events of this machine's journal from its files below root. It finds the
// same entries as journalctl, in a tenth of the time.
func journalFiles(ctx context.Context, root string, from, to time.Time, each func(event.Event)) error {
	files, err := openFiles(root)
	defer func() {
		for _, f := range files {
			f.close()
		}
	}()
	if errors.Is(err, fs.ErrPermission) { // journalctl would say that there is nothing
		return errUnreadable
	}
	if err != nil || len(files) == 0 {
		return errors.Join(errNoFiles, err)
	}
	d := newDecoder(from, to, each)
	for i, f := range files {
		files[i].File = nil // its memory is free again
		if !f.Last.Before(from) && (to.IsZero() || !f.First.After(to)) {
			if err := d.read(ctx, f.File); err != nil {
				return err
			}
		}
	}
	if d.fault != nil {
		return fmt.Errorf("read %q: %w", "the journal", d.fault)
	}
	return nil
}

type journalFile struct {
	*journalfile.File
	close func() error
}

// openFiles opens the files of the system's journal, the oldest first. The files of users have no
// entries of picket's.
func openFiles(root string) (files []journalFile, err error) {
	id, err := os.ReadFile(filepath.Join(root, "etc/machine-id"))
	machine := strings.TrimSpace(string(id))
	if err != nil || len(machine) != 32 {
		return nil, err
	}
	for _, directory := range []string{"var/log/journal", "run/log/journal"} {
		entries, err := os.ReadDir(filepath.Join(root, directory, machine))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return files, err
		}
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), "system") || !strings.Contains(e.Name(), ".journal") {
				continue
			}
			f, err := os.Open(filepath.Join(root, directory, machine, e.Name()))
			if errors.Is(err, os.ErrNotExist) {
				continue // rotated away
			}
			if err != nil {
				return files, err
			}
			file, err := journalfile.Open(f)
			files = append(files, journalFile{file, f.Close})
			if err != nil {
				return files, fmt.Errorf("%s: %w", f.Name(), err)
			}
		}
	}
	slices.SortFunc(files, func(a, b journalFile) int { return a.First.Compare(b.First) })
	return files, nil
}

// A decoder makes events of entries. It is for one goroutine.
type decoder struct {
	from, to time.Time
	each     func(event.Event)
	scan     *scanner
	known    []value // the latest ones, by place
	fault    *Fault
	entries  int
	current  event.Event // of the entry at hand
}

// A value is the value at a place of a file.
type value struct {
	at    uint64
	field int // of event.Fields; -1 for none
	text  string
}

func newDecoder(from, to time.Time, each func(event.Event)) *decoder {
	return &decoder{from: from, to: to, each: each, scan: newScanner(), known: make([]value, 1<<16)}
}

// read reads one file. It notes an error in the file, and leaves out the rest.
func (d *decoder) read(ctx context.Context, f *journalfile.File) error {
	clear(d.known)
	picket, ok, err := f.Find("SYSLOG_IDENTIFIER", "picket")
	if err != nil || !ok {
		return d.wrong(err)
	}
	unit, _, err := f.Find("_SYSTEMD_UNIT", "picket.service")
	if err != nil {
		return d.wrong(err)
	}
	root, _, err := f.Find("_UID", "0")
	if err != nil {
		return d.wrong(err)
	}
	var failed error
	err = f.Walk(picket, func(e *journalfile.Entry) bool {
		if d.entries++; d.entries%1024 == 0 && ctx.Err() != nil {
			return false
		}
		if e.Time.Before(d.from) || !d.to.IsZero() && e.Time.After(d.to.Add(late)) ||
			!e.Has(unit) && !e.Has(root) {
			return true
		}
		failed = d.event(f, e)
		return failed == nil
	})
	if err := ctx.Err(); err != nil {
		return err
	}
	return d.wrong(errors.Join(err, failed))
}

// wrong notes an error.
func (d *decoder) wrong(err error) error {
	switch {
	case err == nil:
	case d.fault == nil:
		d.fault = &Fault{d.entries, 1, err}
	default:
		d.fault.Lines++
	}
	return nil
}

// event hands an entry's event over.
func (d *decoder) event(f *journalfile.File, e *journalfile.Entry) (err error) {
	ev, seen := &d.current, uint64(0)
	*ev = event.Event{}
	e.Values(func(at uint64) {
		v := &d.known[at>>3%uint64(len(d.known))]
		if v.at != at {
			if wrong := d.load(f, at, v); wrong != nil {
				err = wrong
				return
			}
		}
		if v.field < 0 {
			return
		}
		x := &event.Fields[v.field]
		text := v.text
		if seen&(1<<v.field) != 0 {
			text = "" // a field given twice is empty, as with journalctl
		}
		seen |= 1 << v.field
		if to, ok := x.At(ev).(*string); ok {
			*to = text
			return
		}
		x.Set(ev, text)
	})
	if err != nil || ev.Event == "" {
		return err
	}
	if ev.Time.IsZero() {
		ev.Time = e.Time
	}
	if bad := sift(ev); bad != nil {
		return d.wrong(bad)
	}
	d.each(*ev)
	return nil
}

// load reads a value.
func (d *decoder) load(f *journalfile.File, at uint64, v *value) error {
	b, err := f.Text(at)
	if err != nil {
		return err
	}
	*v = value{at: at, field: -1}
	name, text, _ := bytes.Cut(b, []byte("="))
	if i, known := d.scan.keys[string(name)]; known && i < len(event.Fields) {
		v.field, v.text = i, d.scan.text(text)
	}
	return nil
}
