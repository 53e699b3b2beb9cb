// SPDX-License-Identifier: MIT

package journalfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// made is a journal file in the making, with entries that are lists of FIELD=value. A test of
// package report has files of systemd.
type made struct {
	b       []byte
	compact bool
	values  map[string]uint64
	fields  map[string]uint64
}

func (m *made) word(at uint64, v uint64) { binary.LittleEndian.PutUint64(m.b[at:], v) }
func (m *made) is(at uint64) uint64      { return binary.LittleEndian.Uint64(m.b[at:]) }

// object appends an object and returns its place.
func (m *made) object(kind byte, size int) uint64 {
	for len(m.b)%8 != 0 {
		m.b = append(m.b, 0)
	}
	at := uint64(len(m.b))
	m.b = append(m.b, make([]byte, size)...)
	m.b[at] = kind
	m.word(at+8, uint64(size))
	return at
}

func (m *made) value(text string) uint64 {
	if at, ok := m.values[text]; ok {
		return at
	}
	head := 64
	if m.compact {
		head = 72
	}
	at := m.object(typeData, head+len(text))
	copy(m.b[int(at)+head:], text)
	m.values[text] = at
	name, _, _ := strings.Cut(text, "=")
	field, ok := m.fields[name]
	if !ok {
		field = m.object(typeField, 40+len(name))
		copy(m.b[field+40:], name)
		m.fields[name] = field
		bucket := 224 + 16*(uint64(len(name))%2)
		m.word(field+24, m.is(bucket))
		m.word(bucket, field)
	}
	m.word(at+32, m.is(field+32))
	m.word(field+32, at)
	return at
}

// build returns the bytes of a file, with two entries to an array.
func build(compact bool, entries ...[]string) []byte {
	m := &made{compact: compact, values: map[string]uint64{}, fields: map[string]uint64{}}
	m.b = make([]byte, 256)
	copy(m.b, "LPKSHHRH")
	width, item := 8, 16
	if compact {
		m.b[12], width, item = flagCompact, 4, 4
	}
	put := func(at, v uint64) {
		if compact {
			binary.LittleEndian.PutUint32(m.b[at:], uint32(v))
			return
		}
		m.word(at, v)
	}
	m.word(120, 224)
	m.word(128, 32)
	last := map[uint64]uint64{} // the last array of a value
	for i, list := range entries {
		places := []uint64{}
		for _, text := range list {
			places = append(places, m.value(text))
		}
		at := m.object(typeEntry, 64+item*len(list))
		m.word(at+24, uint64(1000+i))
		for j, p := range places {
			put(at+64+uint64(j*item), p)
		}
		for _, p := range places {
			n := m.is(p + 56)
			m.word(p+56, n+1)
			if n == 0 {
				m.word(p+40, at)
				continue
			}
			if n%2 == 1 {
				array := m.object(typeEntryArray, 24+2*width)
				if n == 1 {
					m.word(p+48, array)
				} else {
					m.word(last[p]+16, array)
				}
				last[p] = array
			}
			put(last[p]+24+uint64(width)*((n+1)%2), at)
		}
	}
	m.word(184, 1000)
	m.word(192, uint64(1000+len(entries)))
	return m.b
}

var sample = [][]string{
	{"ID=picket", "A=1"}, {"ID=other", "A=1"}, {"ID=picket", "A=2", "U=x"},
	{"ID=picket", "B=" + strings.Repeat("y", 300)},
	{"ID=picket", "A=1", "U=x"}, {"ID=picket", "U=x"}, {"ID=other"}, {"ID=picket", "A="},
}

// walk returns the entries with ID=picket as lines.
func walk(b []byte) (out []string, err error) {
	f, err := Open(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	v, ok, err := f.Find("ID", "picket")
	if err != nil || !ok {
		return nil, err
	}
	u, _, err := f.Find("U", "x")
	if err != nil {
		return nil, err
	}
	var failed error
	err = f.Walk(v, func(e *Entry) bool {
		line := fmt.Sprint(e.Time.UnixMicro(), e.Has(u))
		e.Values(func(at uint64) {
			text, err := f.Text(at)
			failed = errors.Join(failed, err)
			line += " " + string(text)
		})
		out = append(out, line)
		return failed == nil
	})
	return out, errors.Join(err, failed)
}

// TestWalk: entries with a value come in their order, with all their fields, in both layouts.
func TestWalk(t *testing.T) {
	var want []string
	for i, list := range sample {
		if list[0] == "ID=picket" {
			want = append(want, fmt.Sprint(1000+i, slices.Contains(list, "U=x"))+" "+strings.Join(list, " "))
		}
	}
	for _, compact := range []bool{false, true} {
		got, err := walk(build(compact, sample...))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("compact %t: %v\n%q\nwant\n%q", compact, err, got, want)
		}
	}
	f, err := Open(bytes.NewReader(build(false, sample...)))
	if err != nil {
		t.Fatal(err)
	}
	if !f.First.Equal(time.UnixMicro(1000)) || !f.Last.Equal(time.UnixMicro(1008)) {
		t.Errorf("from %v to %v", f.First, f.Last)
	}
	if _, ok, err := f.Find("ID", "nobody"); ok || err != nil {
		t.Errorf("a value that is not there: %t, %v", ok, err)
	}
	if _, ok, err := f.Find("NONE", "x"); ok || err != nil {
		t.Errorf("a field that is not there: %t, %v", ok, err)
	}
}

// TestCompressed: a compressed value is skipped.
func TestCompressed(t *testing.T) {
	b := build(false, sample...)
	at := bytes.Index(b, []byte("B=yyy")) - 64
	b[at+1] = 4
	got, err := walk(b)
	if err != nil || len(got) != 6 || strings.Contains(got[2], "yyy") {
		t.Errorf("%q, %v", got, err)
	}
}

// TestRefuses: another format, a later version, and loops are errors.
func TestRefuses(t *testing.T) {
	good := build(false, sample...)
	change := func(at int, v byte) []byte {
		b := bytes.Clone(good)
		b[at] = v
		return b
	}
	field := bytes.Index(good, []byte("ID")) - 40 // its next is itself
	loop := bytes.Clone(good)
	binary.LittleEndian.PutUint64(loop[field+24:], uint64(field))
	loop[field+40] = 'X'
	binary.LittleEndian.PutUint64(loop[224:], uint64(field))
	value := bytes.Index(good, []byte("ID=other")) - 64
	values := bytes.Clone(good)
	binary.LittleEndian.PutUint64(values[value+32:], uint64(value))
	for name, b := range map[string][]byte{
		"nothing": nil, "a text": []byte(strings.Repeat("text", 100)), "a later format": change(12, 1<<5),
		"cut short": good[:len(good)-40], "fields in a loop": loop, "values in a loop": values,
	} {
		if _, err := walk(b); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestGrowing: an entry is found that was written after its page was read.
func TestGrowing(t *testing.T) {
	whole := build(false, sample...)
	early := bytes.Clone(whole)
	last := bytes.LastIndex(whole, []byte("A=")) - 64
	clear(early[last:])
	r := &growing{early}
	f, err := Open(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.pages.read(0, 8); err != nil {
		t.Fatal(err)
	}
	r.b = whole
	if text, err := f.Text(uint64(last)); err != nil || string(text) != "A=" {
		t.Errorf("%q, %v", text, err)
	}
}

type growing struct{ b []byte }

func (g *growing) ReadAt(p []byte, at int64) (int, error) { return bytes.NewReader(g.b).ReadAt(p, at) }

// FuzzWalk: any file is either refused or read to its end.
func FuzzWalk(f *testing.F) {
	f.Add(build(false, sample...))
	f.Add(build(true, sample...))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := Open(bytes.NewReader(b))
		if err != nil {
			return
		}
		v, _, _ := file.Find("ID", "picket")
		n := 0
		_ = file.Walk(v, func(e *Entry) bool {
			e.Values(func(at uint64) { _, _ = file.Text(at) })
			n++
			return true
		})
		if n > len(b) {
			t.Errorf("%d entries in %d bytes", n, len(b))
		}
	})
}
