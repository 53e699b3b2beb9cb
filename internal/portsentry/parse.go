// SPDX-License-Identifier: MIT

// Package portsentry reads portsentry.conf, of PortSentry 1.2 and 2, and writes
// the equivalent picket.toml.
//
// [Parse] ignores a bad line and goes on. Each is a [Fault], and so is a line
// without a counterpart; [File.TOML] writes both as comments, with line and
// reason. Without the line of the ignore file, which might name a friend, the
// result says dry_run = true.
//
// It does not guess at commands: it knows the KILL_ROUTEs of PortSentry's files
// and manuals, and leaves any other to a person.
//
// It opens no file and runs no command. docs/portsentry.md lists every option,
// its counterpart and the intended differences.
package portsentry

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// maxLine is the longest line, in bytes. PortSentry reads 1,023.
const maxLine = 64 << 10

// A Fault is a line that was not taken over as written.
type Fault struct {
	Line int    // from 1
	Text string // the line, or its relevant part
	Why  string // the error and the remedy
}

// String returns the fault as a message, safe for a terminal.
func (f Fault) String() string {
	return fmt.Sprintf("line %d: %.300q: %s", f.Line, f.Text, f.Why)
}

// A setting is the value of an option, and its place.
type setting struct {
	line  int
	key   string
	value string
}

func (s setting) text() string { return s.key + `="` + s.value + `"` }

// A File is a portsentry.conf. After [Parse] only [File.MissIgnoreFile] changes it.
type File struct {
	version    int // of PortSentry: 1 if an option or a comment says so, else 2
	settings   map[string]setting
	faults     []Fault
	ignoreLost bool // the line of the ignore file is unreadable
	ignoreGone bool // or the file itself
}

// MissIgnoreFile notes that the ignore file is unreadable here, if can says so of
// its path, and returns the fault. The configuration from f then blocks nobody.
func (f *File) MissIgnoreFile(can func(path string) bool) (x Fault, missing bool) {
	s, ok := f.settings["IGNORE_FILE"]
	if !ok || can(s.value) {
		return Fault{}, false
	}
	f.ignoreGone = true
	return Fault{s.line, s.text(), "is not to be read here: nobody is blocked until it is"}, true
}

// options are the options of both versions, with true for 1.2 alone.
func options() map[string]bool {
	return map[string]bool{
		"TCP_PORTS": false, "UDP_PORTS": false, "IGNORE_FILE": false, "HISTORY_FILE": false,
		"BLOCKED_FILE": false,
		"RESOLVE_HOST": false, "BLOCK_TCP": false, "BLOCK_UDP": false, "KILL_ROUTE": false,
		"KILL_HOSTS_DENY": false,
		"KILL_RUN_CMD":    false, "KILL_RUN_CMD_FIRST": false, "SCAN_TRIGGER": false, "PORT_BANNER": false,
		"ADVANCED_PORTS_TCP": true, "ADVANCED_PORTS_UDP": true, "ADVANCED_EXCLUDE_TCP": true,
		"ADVANCED_EXCLUDE_UDP": true,
	}
}

// Option reports whether a word, in capitals or not, is an option of either version.
func Option(word string) bool {
	_, is := options()[strings.ToUpper(word)]
	return is
}

// Parse reads a portsentry.conf. The file is never nil; faults are in the order of
// their lines, faults of the values included.
func Parse(r io.Reader) (*File, []Fault) {
	f := &File{settings: make(map[string]setting)}
	known := options()
	var all []setting
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, maxLine)
	n := 0
	for sc.Scan() {
		n++
		line := strings.TrimSuffix(sc.Text(), "\r")
		if strings.HasPrefix(strings.TrimLeft(line, " \t"), "#") || strings.TrimSpace(line) == "" {
			if f.version == 0 {
				f.version = versionOf(line)
			}
			continue
		}
		s, why := readLine(line, known)
		if only1, ok := known[s.key]; ok && only1 {
			f.version = 1
		}
		if why != "" {
			f.fault(n, line, why)
			f.ignoreLost = f.ignoreLost || strings.Contains(strings.ToUpper(line), "IGNORE_FILE")
			continue
		}
		s.line = n
		all = append(all, s)
	}
	if err := sc.Err(); err != nil {
		why := "cannot be read to its end: " + err.Error()
		if errors.Is(err, bufio.ErrTooLong) {
			why = fmt.Sprintf("longer than %d bytes: is this a portsentry.conf? Nothing after it was read",
				maxLine)
		}
		f.fault(n+1, "", why)
		f.ignoreLost = true // it may come later
	}
	if f.version == 0 {
		f.version = 2
	}
	f.choose(all)
	f.check()
	slices.SortStableFunc(f.faults, func(a, b Fault) int { return a.Line - b.Line })
	return f, slices.Clone(f.faults)
}

func (f *File) fault(line int, text, why string) {
	f.faults = append(f.faults, Fault{line, text, why})
}

// versionOf recognises the heading of each version's file.
func versionOf(comment string) int {
	c := strings.ToLower(comment)
	switch {
	case strings.Contains(c, "portsentry 2."):
		return 2
	case strings.Contains(c, "portsentry.conf,v"), strings.Contains(c, "portsentry.conf.debian,v"),
		strings.Contains(c, "portsentry 1."):
		return 1
	}
	return 0
}

// readLine splits a line; why is "" for success.
func readLine(line string, known map[string]bool) (s setting, why string) {
	end := strings.IndexFunc(line, func(c rune) bool { return (c < 'A' || c > 'Z') && c != '_' })
	if end < 0 {
		end = len(line)
	}
	s.key = line[:end]
	rest := strings.TrimLeft(line[end:], " \t")
	if _, ok := known[s.key]; !ok {
		return s, unknown(line, s.key, known)
	}
	rest = strings.TrimLeft(strings.TrimPrefix(rest, "="), " \t")
	before, rest, ok := strings.Cut(rest, `"`)
	switch {
	case !ok:
		return s, `the value must stand in double quotes, ` + s.key + `="..."`
	case before != "":
		return s, fmt.Sprintf("%.40q stands before the quotes", before)
	}
	value, after, ok := strings.Cut(rest, `"`)
	if after = strings.TrimLeft(after, " \t"); !ok {
		return s, "the closing quote is missing"
	} else if after != "" && after[0] != '#' {
		return s, fmt.Sprintf("%.60q stands behind the closing quote, and PortSentry does not read it: "+
			"there can be no quotes in a value", after)
	}
	if i := strings.IndexFunc(value, func(c rune) bool { return c < ' ' || c > '~' }); i >= 0 {
		return s, fmt.Sprintf("PortSentry's value ends at %.20q, since it takes printable ASCII only",
			value[i:])
	}
	s.value = value
	return s, ""
}

// unknown says what a line without an option may mean.
func unknown(line, key string, known map[string]bool) string {
	if line[0] == ' ' || line[0] == '\t' {
		return "an option begins in the first column; PortSentry does not read this one"
	}
	if key == "" {
		if word, _, _ := strings.Cut(strings.ToUpper(line), "="); known[strings.TrimSpace(word)] ||
			strings.ContainsAny(word, "_") {
			return "options are written in upper case"
		}
		return "neither an option nor a comment"
	}
	for k := range known {
		if strings.HasPrefix(k, key) {
			return "unknown option; PortSentry 2 takes the beginning of an option for the option, so write " +
				"out which you mean, " + k + " for instance"
		}
	}
	return "unknown option"
}

// choose decides between lines of one option: the first counts in PortSentry
// 1.2, the last in 2. An empty value does not count.
func (f *File) choose(all []setting) {
	for _, s := range all {
		if s.value == "" {
			continue
		}
		old, twice := f.settings[s.key]
		switch {
		case twice && f.version == 1:
			f.fault(s.line, s.text(), fmt.Sprintf("given on line %d already, which counts in PortSentry 1.2",
				old.line))
			continue
		case twice:
			f.fault(old.line, old.text(), fmt.Sprintf("given again on line %d, which counts in PortSentry 2",
				s.line))
		}
		f.settings[s.key] = s
	}
}
