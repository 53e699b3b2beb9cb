// SPDX-License-Identifier: MIT

package config

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"picket/internal/addresses"
)

// dropIns is the directory of the drop-ins, beside the configuration.
const dropIns = "picket.d"

// upgrade is the drop-in of [Pin]. It has earlier defaults, so it is read before
// the configuration, and every other file wins over it.
const upgrade = "00-upgrade.toml"

// documents reads a configuration and its drop-ins, picket.d/*.toml beside it, in
// the order of their names. After an unreadable file or broken syntax the
// document is nil: the rest cannot be trusted.
func documents(path string) (d *document, faults Faults) {
	names := []string{path}
	dir := filepath.Join(filepath.Dir(path), dropIns)
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		faults = append(faults, Fault{File: dir, Problem: "cannot be read: " + reason(err)})
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".toml") && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	if i := slices.Index(names, filepath.Join(dir, upgrade)); i > 0 {
		names = slices.Insert(slices.Delete(names, i, i+1), 0, filepath.Join(dir, upgrade))
	}
	var own string
	for _, name := range names {
		next, wrong := document1(name, name == DefaultPath)
		if name == path && next != nil {
			own = next.files[0]
		}
		switch faults = append(faults, wrong...); {
		case len(wrong) > 0:
		case d == nil:
			d = next
		default:
			d.yield(next)
			d.lay(next)
		}
	}
	if len(faults) > 0 {
		return nil, faults
	}
	i := slices.Index(d.files, own) // first the configuration, then the drop-ins as read
	d.files = slices.Insert(slices.Delete(d.files, i, i+1), 0, own)
	return d, nil
}

// yield takes the port lists of earlier defaults out of d if a later document names a
// preset: they would add to it.
func (d *document) yield(e *document) {
	for name, table := range e.values {
		ports, _ := table.(map[string]any)
		mine, _ := d.values[name].(map[string]any)
		if ports["preset"] == nil || mine == nil {
			continue
		}
		for _, list := range presetLists {
			if at := join(name, list); filepath.Base(d.places[at].file) == upgrade {
				delete(mine, list)
				delete(d.places, at)
			}
		}
	}
}

// document1 reads one file. A file that may be missing, and is, has no name and
// no keys.
func document1(name string, mayMiss bool) (*document, Faults) {
	var data []byte
	err := addresses.Regular(name)
	if err == nil {
		data, err = os.ReadFile(name)
	}
	switch {
	case err == nil:
		return parse(name, data)
	case mayMiss && os.IsNotExist(err):
		return parse("", nil)
	}
	return nil, Faults{{File: name, Problem: "cannot be read: " + reason(err)}}
}

// lay lays a later document over d. A key replaces the earlier one whole. The
// lists of [ignore] and the tables [[known]] grow: a drop-in with one friend
// must not take away the friends of the file.
func (d *document) lay(e *document) {
	d.files = append(d.files, e.files...)
	d.layTable("", d.values, e.values, e.places)
}

func (d *document) layTable(table string, to, from map[string]any, places map[string]place) {
	for _, key := range slices.Sorted(maps.Keys(from)) {
		name := join(table, key)
		oldTable, isTable := to[key].(map[string]any)
		newTable, staysTable := from[key].(map[string]any)
		if isTable && staysTable {
			d.layTable(name, oldTable, newTable, places)
			continue
		}
		oldList, isList := to[key].([]any)
		newList, staysList := from[key].([]any)
		if isList && staysList && (table == "ignore" || tables(oldList) && tables(newList)) {
			to[key] = slices.Concat(oldList, newList)
			for n := range newList {
				move(d.places, itemName(name, len(oldList)+n), places, itemName(name, n))
			}
			continue
		}
		to[key] = from[key]
		maps.DeleteFunc(d.places, func(at string, _ place) bool { return within(at, name) })
		move(d.places, name, places, name)
	}
}

func tables(list []any) bool {
	return !slices.ContainsFunc(list, func(v any) bool { _, is := v.(map[string]any); return !is })
}

// move moves the places at old, and in it, to name.
func move(to map[string]place, name string, from map[string]place, old string) {
	for at, p := range from {
		if within(at, old) {
			to[name+strings.TrimPrefix(at, old)] = p
		}
	}
}

// within reports whether a dotted key is name or inside it.
func within(at, name string) bool {
	rest, ok := strings.CutPrefix(at, name)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
