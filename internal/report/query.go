// SPDX-License-Identifier: MIT

package report

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"picket/internal/event"
	"picket/internal/gunzip"
	"picket/internal/show"
)

// A Query selects the events of a report. The zero value is the whole journal.
type Query struct {
	From, To time.Time // zero for no bound
	File     string    // "" for the journal, "-" for standard input
}

// Read counts the events, and reports its progress to p.
func (q *Query) Read(ctx context.Context, stdin io.Reader, c *Counter, p *show.Progress) error {
	defer p.End()
	add := func(e event.Event) {
		p.Step()
		if !e.Time.Before(q.From) && (q.To.IsZero() || e.Time.Before(q.To)) {
			c.Add(e)
		}
	}
	switch q.File {
	case "":
		return Journal(ctx, q.From, q.To, add)
	case "-":
		return inFile("standard input", readPlain(stdin, add))
	}
	f, err := os.Open(q.File)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		p.Size = info.Size()
	}
	return inFile(q.File, readPlain(p.Reader(f), add))
}

// readPlain reads lines that may be compressed, as logrotate leaves them.
func readPlain(r io.Reader, add func(event.Event)) error {
	b := bufio.NewReader(r)
	plain, err := gunzip.Reader(b)
	if err == nil {
		err = Read(plain, false, add)
	}
	if err != nil && plain != b && !errors.As(err, new(*Fault)) {
		return fmt.Errorf("corrupt or truncated gzip: %w", err)
	}
	return err
}

func inFile(name string, err error) error {
	if err != nil {
		return fmt.Errorf("read %q: %w", name, err)
	}
	return nil
}

// Running reports whether the events go on up to now, so that the daemon knows more.
func (q *Query) Running(now time.Time) bool {
	return q.File == "" && (q.To.IsZero() || !q.To.Before(now))
}

// minute is the form of a time in a report's heading.
const minute = "2006-01-02 15:04"

// Heading names the period and the origin of r.
func (q *Query) Heading(r *Report, now time.Time) string {
	where := map[string]string{"": "the journal", "-": "standard input"}[q.File]
	if where == "" {
		where = show.Clean(q.File)
	}
	from, to := q.From, cmp.Or(q.To, now)
	if from.IsZero() {
		from, to = r.From, cmp.Or(q.To, r.To)
	}
	if from.IsZero() {
		return "nothing in " + where
	}
	return fmt.Sprintf("%s to %s, from %s", from.Local().Format(minute), to.Local().Format(minute), where)
}

// Text is the report of the journal from a time up to now, with so many lines of
// each list.
func Text(ctx context.Context, from, now time.Time, lines int) (string, error) {
	counter := New()
	if err := Journal(ctx, from, time.Time{}, counter.Add); err != nil && !errors.As(err, new(*Fault)) {
		return "", err
	}
	r := counter.Report(lines, nil)
	var text bytes.Buffer
	Print(&text, &r, from.Format(minute)+" to "+now.Format(minute), 0)
	return text.String(), nil
}

// WritePage writes the page to a file. On an error the file stays as it was.
func WritePage(name string, r *Report, heading string) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".picket-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails after the renaming
	out := bufio.NewWriter(f)
	err = errors.Join(HTML(out, r, heading), out.Flush(), f.Chmod(0o644), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
