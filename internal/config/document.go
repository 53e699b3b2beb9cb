// SPDX-License-Identifier: MIT

package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"picket/internal/portsentry"
)

// A Fault is one error in a file.
type Fault struct {
	File    string `json:"file"`
	Line    int    `json:"line"`    // 0 for none
	Key     string `json:"key"`     // "tcp.action"; "" for a fault of syntax
	Problem string `json:"problem"` // the error and the remedy
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

// Faults are the faults of a configuration, in the order of files and lines.
type Faults []Fault

// Error lists the faults, one a line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, x := range f {
		lines[i] = x.String()
	}
	return strings.Join(lines, "\n")
}

// A document is a parsed file, with later ones laid over it: values, and the
// place of each key.
type document struct {
	files  []string // in reading order
	values map[string]any
	places map[string]place // by dotted key; in a list "tcp.modes[0]"
	faults Faults

	warnings Faults // of the host, not of the file
	unfit    Faults // see [Config.Runnable]
}

// A place is a file and a line. The zero place is none.
type place struct {
	file string
	line int
}

// mark is a byte order mark; some editors begin a file with it.
var mark = []byte("\ufeff")

func parse(file string, data []byte) (*document, Faults) {
	d := &document{files: []string{file}, values: map[string]any{}, places: map[string]place{}}
	data = bytes.TrimPrefix(data, mark)
	if err := toml.Unmarshal(data, &d.values); err != nil {
		f := Fault{File: file, Problem: err.Error()}
		if at := new(toml.DecodeError); errors.As(err, &at) {
			f.Line, _ = at.Position()
			f.Problem = strings.TrimPrefix(at.Error(), "toml: ")
			if hint := foreign(file, data, f.Line); hint != "" {
				f.Problem += hint
			} else if strings.HasSuffix(f.Problem, "at start of value") {
				f.Problem += ": text is in quotes, a switch is true or false"
			}
		}
		return nil, Faults{f}
	}
	d.locate(data)
	return d, nil
}

// foreign returns a hint if a line is one of PortSentry's configuration.
func foreign(file string, data []byte, line int) string {
	lines := bytes.SplitN(data, []byte("\n"), line+1)
	if line < 1 || line > len(lines) {
		return ""
	}
	key, _, _ := strings.Cut(string(lines[line-1]), "=")
	if !portsentry.Option(strings.TrimSpace(key)) {
		return ""
	}
	return ": " + portsentrys(file)
}

// portsentrys returns the hint for a file of PortSentry's.
func portsentrys(file string) string {
	return fmt.Sprintf("this is an option of PortSentry: "+
		"\"picket import %s\" prints the picket.toml that does the same", file)
}

// locate notes the line of each key. The text is well formed.
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
			name := itemName(key, n)
			d.places[name] = d.places[key]
			if raw := it.Node().Raw; raw.Length > 0 {
				d.places[name] = d.at(p, raw)
			}
			if it.Node().Kind == unstable.InlineTable {
				d.pairs(p, name, it.Node())
			}
		}
	}
}

func (d *document) at(p *unstable.Parser, raw unstable.Range) place {
	return place{d.files[0], p.Shape(raw).Start.Line}
}

func (d *document) pairs(p *unstable.Parser, table string, of *unstable.Node) {
	for it := of.Children(); it.Next(); {
		d.pair(p, table, it.Node())
	}
}

// item notes the next table of an array of tables and returns its name.
func (d *document) item(p *unstable.Parser, key unstable.Iterator) (name string) {
	var array string
	var at place
	for key.Next() {
		array = join(array, string(key.Node().Data))
		at = d.at(p, key.Node().Raw)
	}
	if d.places[array].line == 0 {
		d.places[array] = at
	}
	for n := 0; ; n++ {
		if name = itemName(array, n); d.places[name].line == 0 {
			d.places[name] = at
			return name
		}
	}
}

// itemName names an item of a list: "known[0]".
func itemName(list string, n int) string { return fmt.Sprintf("%s[%d]", list, n) }

// join returns the dotted key of a key in a table; table "" is the top level.
func join(table, key string) string {
	if table == "" {
		return key
	}
	return table + "." + key
}

func (d *document) note(p *unstable.Parser, table string, key unstable.Iterator) string {
	for key.Next() {
		table = join(table, string(key.Node().Data))
		if _, seen := d.places[table]; !seen {
			d.places[table] = d.at(p, key.Node().Raw)
		}
	}
	return table
}

func (d *document) top() *section { return &section{d: d, values: d.values} }

// fault makes a fault about a key. A missing key has the place of its table, or
// of the file.
func (d *document) fault(key, at, problem string) Fault {
	for at != "" && d.places[at].line == 0 {
		at = at[:max(strings.LastIndexAny(at, ".["), 0)]
	}
	p := d.places[at]
	return Fault{cmp.Or(p.file, d.files[0], "embedded default"), p.line, key, problem}
}

// sorted orders faults by file and line.
func (d *document) sorted(faults Faults) Faults {
	slices.SortStableFunc(faults, func(a, b Fault) int {
		return cmp.Or(slices.Index(d.files, a.File)-slices.Index(d.files, b.File), a.Line-b.Line)
	})
	return faults
}
