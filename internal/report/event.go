// SPDX-License-Identifier: MIT

package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"picket/internal/event"
	"picket/internal/show"
)

// ErrNotEvent means that a line holds no event.
var ErrNotEvent = errors.New("not an event of picket's")

// A Fault is lines of a file that could not be used.
type Fault struct {
	Line  int // the first of them, from 1
	Lines int // how many there are
	Err   error
}

// Error implements error.
func (f *Fault) Error() string {
	if f.Lines == 1 {
		return fmt.Sprintf("line %d: %v", f.Line, f.Err)
	}
	return fmt.Sprintf("line %d: %v; %d lines like it", f.Line, f.Err, f.Lines)
}

// Unwrap returns what is wrong with the first line.
func (f *Fault) Unwrap() error { return f.Err }

// maxLine is the longest line that is read, in bytes. An event has some 1,500.
const maxLine = 64 << 10

// Read reads events, a JSON object a line, as a history file has them, "picket
// replay --json" prints them or, known by its keys, "journalctl -o json" does;
// with journal all lines are of that form. What is no event is passed over; if
// that is not one of picket's other lines, the error is a [*Fault] at the end.
func Read(r io.Reader, journal bool, each func(event.Event)) error {
	b, scan := bufio.NewReaderSize(r, maxLine), newScanner()
	var fault *Fault
	for n := 1; ; n++ {
		line, err := b.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = b.ReadSlice('\n')
		}
		if err != nil && err != io.EOF {
			return err
		}
		if len(line) == 0 && err == io.EOF {
			break
		}
		ev, bad := event.Event{}, fmt.Errorf("%w: longer than %d bytes", ErrNotEvent, maxLine)
		if !long {
			ev, bad = parse(scan, line, journal)
		}
		switch {
		case bad == nil && ev.Event != "":
			each(ev)
		case bad != nil && fault == nil:
			fault = &Fault{n, 1, bad}
		case bad != nil:
			fault.Lines++
		}
		if err == io.EOF {
			break
		}
	}
	if fault != nil {
		return fault
	}
	return nil
}

// parse reads a line. Event is empty for one that is rightly there and no event.
func parse(scan *scanner, line []byte, journal bool) (ev event.Event, err error) {
	if len(bytes.TrimSpace(line)) == 0 {
		return ev, nil
	}
	journal = journal || bytes.Contains(line, []byte(`"PICKET_EVENT"`))
	ev, plain := scan.event(line, journal)
	switch {
	case plain:
	case journal:
		ev, err = parseJournal(line)
	default:
		ev = event.Event{}
		err = json.Unmarshal(line, &ev)
	}
	if err != nil {
		return event.Event{}, fmt.Errorf("%w: %v", ErrNotEvent, err)
	}
	if journal && ev.Event == "" {
		return event.Event{}, nil // what "picket check" said at a reload, for one
	}
	switch ev.Event {
	case "probe", "pattern", "block", "unblock", "expire", "ignore", "lost", "notice", "trial":
		clean(&ev)
		if ev.Time.IsZero() {
			return event.Event{}, fmt.Errorf("%w: without a time", ErrNotEvent)
		}
		return ev, nil
	case "packet", "summary", "difference": // of "picket replay --json"
		return event.Event{}, nil
	}
	return event.Event{}, fmt.Errorf("%w: its event is %.40q", ErrNotEvent, ev.Event)
}

// parseJournal reads an entry of the journal, whose values are texts, lists of
// bytes if they were not printable, lists of texts if there were several, or
// null if they were long (journalctl's "-o json"). Whatever is no text is taken
// for nothing.
func parseJournal(line []byte) (ev event.Event, err error) {
	raw := map[string]json.RawMessage{}
	if err := json.Unmarshal(line, &raw); err != nil {
		return ev, err
	}
	text := func(key string) (s string) {
		if json.Unmarshal(raw[key], &s) != nil {
			return ""
		}
		return s
	}
	for i := range event.Fields {
		f := &event.Fields[i]
		f.Set(&ev, text(event.Name(f.Key)))
	}
	// The event's own time: the entry's is when it was written.
	if ev.Time.IsZero() {
		ev.Time = entryTime(text(stamp))
	}
	return ev, nil
}

// stamp is the journal's field of when an entry was written.
const stamp = "__REALTIME_TIMESTAMP"

// entryTime reads that field, which counts microseconds; what is no time is zero.
func entryTime(text string) time.Time {
	us, err := strconv.ParseUint(text, 10, 63)
	if err != nil || us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(us))
}

// clean bounds every text and list and replaces what a terminal might act on.
func clean(e *event.Event) {
	for _, f := range event.Fields {
		if s, ok := f.At(e).(*string); ok {
			*s = show.Cut(*s, 80)
		}
	}
	if len(e.Ports) > maxPorts {
		e.Ports = e.Ports[:maxPorts]
	}
}
