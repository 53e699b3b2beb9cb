// SPDX-License-Identifier: MIT

package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// A Fault is one thing that is wrong with a file.
type Fault struct {
	File    string
	Line    int    // 0 if the fault has none
	Key     string // "tcp.action"; "" for a fault of syntax
	Problem string // what is wrong and what would be right
}

func (f Fault) String() string {
	s := f.File
	if f.Line > 0 {
		s = fmt.Sprintf("%s:%d", s, f.Line)
	}
	if f.Key != "" {
		s += ": " + f.Key
	}
	return s + ": " + f.Problem
}

// Faults are all the faults of a file, in the order of their lines.
type Faults []Fault

// Error lists the faults, one a line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, x := range f {
		lines[i] = x.String()
	}
	return strings.Join(lines, "\n")
}

// A document is a parsed file: its values, and where each key stands.
type document struct {
	file   string
	values map[string]any
	lines  map[string]int // by dotted key
	faults Faults

	warnings Faults // what is wrong with the host, not with the file
	unread   Faults // those of the warnings that are ignore files
}

func parse(file string, data []byte) (*document, Faults) {
	d := &document{file: file, values: map[string]any{}, lines: map[string]int{}}
	if err := toml.Unmarshal(data, &d.values); err != nil {
		f := Fault{File: file, Problem: err.Error()}
		if at := new(toml.DecodeError); errors.As(err, &at) {
			f.Line, _ = at.Position()
			f.Problem = strings.TrimPrefix(at.Error(), "toml: ")
		}
		return nil, Faults{f}
	}
	d.locate(data)
	return d, nil
}

// locate notes the line of each key. The text is known to be well formed.
func (d *document) locate(data []byte) {
	var p unstable.Parser
	p.Reset(data)
	var table string
	for p.NextExpression() {
		switch e := p.Expression(); e.Kind {
		case unstable.Table:
			table = d.note(&p, "", e.Key())
		case unstable.ArrayTable:
			table = d.item(&p, e.Key())
		case unstable.KeyValue:
			d.pair(&p, table, e)
		}
	}
}

func (d *document) pair(p *unstable.Parser, table string, e *unstable.Node) {
	key := d.note(p, table, e.Key())
	switch v := e.Value(); v.Kind {
	case unstable.InlineTable:
		d.pairs(p, key, v)
	case unstable.Array:
		n := 0
		for it := v.Children(); it.Next(); n++ {
			if it.Node().Kind == unstable.InlineTable {
				name := itemName(key, n)
				d.lines[name] = d.lines[key]
				d.pairs(p, name, it.Node())
			}
		}
	}
}

func (d *document) pairs(p *unstable.Parser, table string, of *unstable.Node) {
	for it := of.Children(); it.Next(); {
		d.pair(p, table, it.Node())
	}
}

// item notes the next table of an array of tables and returns its name.
func (d *document) item(p *unstable.Parser, key unstable.Iterator) (name string) {
	at, array := 0, ""
	for key.Next() {
		if array != "" {
			array += "."
		}
		array += string(key.Node().Data)
		at = p.Shape(key.Node().Raw).Start.Line
	}
	if d.lines[array] == 0 {
		d.lines[array] = at
	}
	for n := 0; ; n++ {
		if name = itemName(array, n); d.lines[name] == 0 {
			d.lines[name] = at
			return name
		}
	}
}

// itemName is how the tables of an array are told apart: "known[0]".
func itemName(array string, n int) string { return fmt.Sprintf("%s[%d]", array, n) }

func (d *document) note(p *unstable.Parser, table string, key unstable.Iterator) string {
	for key.Next() {
		if table != "" {
			table += "."
		}
		table += string(key.Node().Data)
		if _, seen := d.lines[table]; !seen {
			d.lines[table] = p.Shape(key.Node().Raw).Start.Line
		}
	}
	return table
}

func (d *document) top() *section { return &section{d: d, values: d.values} }

// sorted returns the faults by line.
func (d *document) sorted() Faults {
	slices.SortStableFunc(d.faults, func(a, b Fault) int { return a.Line - b.Line })
	return d.faults
}
