// SPDX-License-Identifier: MIT

// Package journaltest is for tests of what tells in the journal.
package journaltest

import (
	"fmt"
	"strings"
	"sync"
)

// A Log has the deeds and reports of a test, in order. As a writer of
// [picket/internal/journal.NewLines] it takes each line from where From begins
// in it. Any goroutine may use it.
type Log struct {
	From  string
	mu    sync.Mutex
	lines []string
}

// Add adds a line.
func (l *Log) Add(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf(format, args...))
}

// Write takes a report, without the form of a line around it.
func (l *Log) Write(b []byte) (int, error) {
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		if i := strings.Index(line, l.From); i >= 0 && l.From != "" {
			line = strings.TrimSuffix(line[i:], `"`)
		}
		l.Add("%s", line)
	}
	return len(b), nil
}

// Take returns the lines since the last Take.
func (l *Log) Take() (lines []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines, l.lines = l.lines, nil
	return lines
}
