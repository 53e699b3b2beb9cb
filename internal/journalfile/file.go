// SPDX-License-Identifier: MIT

// Package journalfile reads the files of systemd's journal: the entries with a value,
// in order, and the fields of each.
//
// It reads a million entries in a few seconds, where journalctl takes half a minute to
// write them as JSON: values are stored once, and most come again and again. The format
// is https://systemd.io/JOURNAL_FILE_FORMAT/ and src/libsystemd/sd-journal/journal-def.h.
//
// A file may be written to meanwhile, cut short or damaged: a broken link is an error,
// and the file's size bounds memory and time. Compressed values, by default those of
// 512 bytes and more, are skipped. It needs read access to the file.
package journalfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// Types of objects, and the flags of the header.
const (
	typeData       = 1
	typeField      = 2
	typeEntry      = 3
	typeEntryArray = 6

	compressed = 1 | 2 | 4 // XZ, LZ4, ZSTD, of an object

	flagCompact  = 1 << 4 // offsets of 32 bits, since systemd 252
	knownFlags   = 1<<5 - 1
	headerLeast  = 208 // of the first version
	objectHeader = 16
	longest      = 64 << 10 // bytes of an object to read
	maxFields    = 1 << 14  // of a file; more is a loop
	maxValues    = 1 << 20  // of a field
)

// ErrFormat means that a file is not a journal's, or of a later format.
var ErrFormat = errors.New("not a journal file that is understood")

// A File is an open file. It is for one goroutine.
type File struct {
	pages   pages
	compact bool
	fields  uint64 // the hash table of fields: its place and its size
	size    uint64

	// First and Last are the times of the first and the last entry.
	First, Last time.Time
}

// Open reads the header of a file.
func Open(r io.ReaderAt) (*File, error) {
	f := &File{pages: pages{r: r}}
	h := make([]byte, headerLeast)
	if _, err := r.ReadAt(h, 0); err != nil || !bytes.HasPrefix(h, []byte("LPKSHHRH")) {
		return nil, errors.Join(ErrFormat, err)
	}
	flags := binary.LittleEndian.Uint32(h[12:])
	if flags&^knownFlags != 0 {
		return nil, fmt.Errorf("%w: flags %#x", ErrFormat, flags)
	}
	f.compact = flags&flagCompact != 0
	word := func(at int) uint64 { return binary.LittleEndian.Uint64(h[at:]) }
	f.fields, f.size = word(120), word(128)
	f.First, f.Last = time.UnixMicro(int64(word(184))), time.UnixMicro(int64(word(192)))
	return f, nil
}

// object reads the object at a place. It must have the kind, and at least the bytes.
func (f *File) object(at uint64, kind byte, least int) ([]byte, error) {
	for again := false; ; again = true {
		h, err := f.pages.read(at, objectHeader)
		if err != nil {
			return nil, err
		}
		size := binary.LittleEndian.Uint64(h[8:])
		switch {
		case h[0] == kind && at%8 == 0 && size >= uint64(least):
			return f.pages.read(at, int(min(size, longest)))
		case again:
			return nil, fmt.Errorf("%w: an object of type %d, %d bytes, at %d", ErrFormat, h[0], size, at)
		}
		f.pages.forget(at) // it may have been written since
	}
}

// A Value is the place of a field's value in a file. The zero Value stands for no place.
type Value struct {
	at             uint64
	first, further uint64 // its first entry, and the array of the others
	count          uint64
}

// dataHead is the number of bytes before the text of a value.
func (f *File) dataHead() int {
	if f.compact {
		return 72
	}
	return 64
}

// Find returns a field's value; ok is false if the file has none.
func (f *File) Find(field, value string) (v Value, ok bool, err error) {
	steps := 0
	for bucket := uint64(0); bucket+16 <= f.size && bucket < longest*16; bucket += 16 {
		b, err := f.pages.read(f.fields+bucket, 8)
		if err != nil {
			return v, false, err
		}
		for at := binary.LittleEndian.Uint64(b); at != 0; {
			o, err := f.object(at, typeField, 40)
			if err != nil {
				return v, false, err
			}
			next, data := binary.LittleEndian.Uint64(o[24:]), binary.LittleEndian.Uint64(o[32:])
			if string(o[40:]) == field {
				return f.among(data, field+"="+value)
			}
			if steps++; steps > maxFields {
				return v, false, fmt.Errorf("%w: fields without an end", ErrFormat)
			}
			at = next
		}
	}
	return v, false, nil
}

// among returns the value with a text from a list of values.
func (f *File) among(at uint64, text string) (v Value, ok bool, err error) {
	for steps := 0; at != 0; steps++ {
		o, err := f.object(at, typeData, f.dataHead())
		if err != nil {
			return v, false, err
		}
		word := func(i int) uint64 { return binary.LittleEndian.Uint64(o[i:]) }
		if o[1]&compressed == 0 && string(o[f.dataHead():]) == text {
			return Value{at: at, first: word(40), further: word(48), count: word(56)}, true, nil
		}
		if steps > maxValues {
			return v, false, fmt.Errorf("%w: values without an end", ErrFormat)
		}
		at = word(32)
	}
	return v, false, nil
}

// Walk calls each for the entries with a value, in order, until each returns false. An entry is
// valid during the call.
func (f *File) Walk(v Value, each func(*Entry) bool) error {
	entry := &Entry{file: f}
	visit := func(at uint64) (more bool, err error) {
		o, err := f.object(at, typeEntry, 64)
		if err != nil {
			return false, err
		}
		entry.Time = time.UnixMicro(int64(binary.LittleEndian.Uint64(o[24:])))
		entry.items = append(entry.items[:0], o[64:]...)
		return each(entry), nil
	}
	if v.count == 0 || v.first == 0 {
		return nil
	}
	if more, err := visit(v.first); err != nil || !more {
		return err
	}
	width := 8
	if f.compact {
		width = 4
	}
	left := v.count - 1
	for at := v.further; at != 0 && left > 0; {
		h, err := f.pages.read(at, 24)
		if err != nil {
			return err
		}
		size, next := binary.LittleEndian.Uint64(h[8:]), binary.LittleEndian.Uint64(h[16:])
		if h[0] != typeEntryArray || size < 24 {
			return fmt.Errorf("%w: no array of entries at %d", ErrFormat, at)
		}
		for i := range (size - 24) / uint64(width) {
			if left == 0 {
				return nil
			}
			b, err := f.pages.read(at+24+i*uint64(width), width)
			if err != nil {
				return err
			}
			place := uint64(binary.LittleEndian.Uint32(b))
			if width == 8 {
				place = binary.LittleEndian.Uint64(b)
			}
			if place == 0 { // not written yet
				return nil
			}
			left--
			if more, err := visit(place); err != nil || !more {
				return err
			}
		}
		if next != 0 && next <= at { // journald appends, so places grow
			return fmt.Errorf("%w: an array of entries leads back", ErrFormat)
		}
		at = next
	}
	return nil
}

// An Entry is an entry of the journal.
type Entry struct {
	Time  time.Time // when it was written
	file  *File
	items []byte
}

// places returns the places of the entry's values.
func (e *Entry) places(yield func(at uint64) bool) {
	if e.file.compact {
		for b := e.items; len(b) >= 4; b = b[4:] {
			if !yield(uint64(binary.LittleEndian.Uint32(b))) {
				return
			}
		}
		return
	}
	for b := e.items; len(b) >= 16; b = b[16:] {
		if !yield(binary.LittleEndian.Uint64(b)) {
			return
		}
	}
}

// Has reports whether the entry has a value.
func (e *Entry) Has(v Value) bool {
	for at := range e.places {
		if v.at != 0 && at == v.at {
			return true
		}
	}
	return false
}

// Values calls each with the place of every value of the entry. A place has one text
// throughout the file: [File.Text] reads it.
func (e *Entry) Values(each func(at uint64)) {
	for at := range e.places {
		each(at)
	}
}

// Text reads a value, FIELD=text, valid until the next call of a method; nil for a compressed
// one.
func (f *File) Text(at uint64) ([]byte, error) {
	o, err := f.object(at, typeData, f.dataHead())
	if err != nil || o[1]&compressed != 0 {
		return nil, err
	}
	return o[f.dataHead():], nil
}
