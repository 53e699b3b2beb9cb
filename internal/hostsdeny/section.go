// SPDX-License-Identifier: MIT

package hostsdeny

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// The markers. A note between the fixed beginning of the first and its end says
// what goes with the section.
const (
	begin    = "# picket begins: lines from here to the end mark are picket's; write yours elsewhere"
	end      = "# picket ends"
	noteLine = "; a newline was added above"
	noteTwo  = "; two newlines were added above"
	noteMade = "; the file was made by picket"
)

// A section is a hosts.deny in three parts: the text before picket's lines, the
// lines, and the text behind them.
type section struct {
	before, after []byte
	lines         []string
	newlines      int  // added between before and the section
	made          bool // picket made the file
}

// split splits a file. A file without a section is all before.
func split(text []byte) (section, error) {
	s := section{before: text}
	if countLines(text, begin) == 0 && countLines(text, end) == 0 {
		s.newlines = missingNewlines(text)
		return s, nil
	}
	if countLines(text, begin) != 1 || countLines(text, end) != 1 {
		return section{}, fmt.Errorf("%d begin and %d end marks of picket's section where one each belongs: "+
			"put them right, or delete them and the lines that picket wrote", countLines(text, begin),
			countLines(text, end))
	}
	from, to := lineIndex(text, begin), lineIndex(text, end)
	if to < from {
		return section{}, errors.New("picket's section ends before it begins: " +
			"put its marks right, or delete them and the lines that picket wrote")
	}
	mark, body, _ := strings.Cut(string(text[from:to]), "\n")
	switch {
	case strings.Contains(mark, noteTwo):
		s.newlines = 2
	case strings.Contains(mark, noteLine):
		s.newlines = 1
	}
	s.made = strings.Contains(mark, noteMade)
	s.before = text[:from]
	if cut := len(s.before) - s.newlines; cut >= 0 && strings.Trim(string(s.before[cut:]), "\n") == "" {
		s.before = s.before[:cut]
	} else {
		s.newlines = 0 // somebody edited above: our newlines are gone
	}
	for l := range strings.Lines(body) {
		if l = strings.TrimSuffix(l, "\n"); l != "" {
			s.lines = append(s.lines, l)
		}
	}
	_, rest, found := bytes.Cut(text[to:], []byte("\n"))
	if found {
		s.after = rest
	}
	return s, nil
}

// join joins the file again; keep is false for no file.
func (s section) join() (text []byte, keep bool) {
	if len(s.lines) == 0 {
		text = append(text, s.before...)
		if len(s.after) > 0 { // text below must begin a line
			text = append(text, strings.Repeat("\n", s.newlines)...)
		}
		text = append(text, s.after...)
		return text, !s.made || len(text) > 0
	}
	var b bytes.Buffer
	b.Write(s.before)
	b.WriteString(strings.Repeat("\n", s.newlines))
	b.WriteString(begin)
	b.WriteString([]string{"", noteLine, noteTwo}[s.newlines])
	if s.made {
		b.WriteString(noteMade)
	}
	b.WriteByte('\n')
	for _, l := range s.lines {
		b.WriteString(l)
		b.WriteByte('\n')
	}
	b.WriteString(end)
	b.WriteByte('\n')
	b.Write(s.after)
	return b.Bytes(), true
}

// missingNewlines counts the newlines needed between a text and our mark for the
// mark to begin a line. A backslash before a newline joins the next line to a rule
// (hosts_access(5)), so it needs an empty line more.
func missingNewlines(text []byte) int {
	n := 0
	if len(text) > 0 && text[len(text)-1] != '\n' {
		n = 1
		text = append(text[:len(text):len(text)], '\n')
	}
	if bytes.HasSuffix(text, []byte("\\\n")) {
		n++
	}
	return n
}

// countLines counts the lines that begin with a mark.
func countLines(text []byte, mark string) int {
	n := bytes.Count(text, []byte("\n"+mark))
	if bytes.HasPrefix(text, []byte(mark)) {
		n++
	}
	return n
}

// lineIndex is the index of the one line that begins with a mark.
func lineIndex(text []byte, mark string) int {
	if bytes.HasPrefix(text, []byte(mark)) {
		return 0
	}
	return bytes.Index(text, []byte("\n"+mark)) + 1
}
