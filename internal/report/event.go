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

// A Fault stands for unusable lines of a file.
type Fault struct {
	Line  int // the first, from 1
	Lines int // their number
	Err   error
}

// Error implements error.
func (f *Fault) Error() string {
	if f.Lines == 1 {
		return fmt.Sprintf("line %d: %v", f.Line, f.Err)
	}
	return fmt.Sprintf("line %d: %v; %d lines like it", f.Line, f.Err, f.Lines)
}

// Unwrap returns the fault of the first line.
func (f *Fault) Unwrap() error { return f.Err }

// maxLine is the longest line, in bytes. An event has some 1,500.
const maxLine = 64 << 10

// Read reads events, one JSON object a line, from a history file, from "picket
// replay --json" or from "journalctl -o json", which it knows by its keys; with
// journal every line is of the last. It skips lines without an event. If one of
// them is not picket's either, the error is a [*Fault] at the end.
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

// parse reads a line. The event is empty for a line that may hold none.
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
		return event.Event{}, nil // such as the words of "picket check" at a reload
	}
	err = sift(&ev)
	return ev, err
}

// lastYear is the last year of an event. JSON has four digits for a year, and the hours of
// a report go on behind an event.
const lastYear = 9998

// sift cleans an event, empties another line of picket's, or returns the fault.
func sift(ev *event.Event) error {
	switch ev.Event {
	case "probe", "pattern", "block", "unblock", "expire", "ignore", "infection", "lost", "notice", "trial":
		clean(ev)
		if ev.Time.IsZero() {
			return fmt.Errorf("%w: without a time", ErrNotEvent)
		}
		if y := ev.Time.UTC().Year(); y < 1 || y > lastYear {
			return fmt.Errorf("%w: of the year %d", ErrNotEvent, y)
		}
		return nil
	case "packet", "summary", "difference": // of "picket replay --json"
		*ev = event.Event{}
		return nil
	}
	return fmt.Errorf("%w: its event is %.40q", ErrNotEvent, ev.Event)
}

// parseJournal reads an entry of the journal. A value is a text, a list of bytes
// if it was not printable, a list of texts if there were several, or null if it
// was long (journalctl's "-o json"). Anything but a text counts as empty.
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
	// The entry's time is the time of writing; the event has its own.
	if ev.Time.IsZero() {
		ev.Time = entryTime(text(stamp))
	}
	return ev, nil
}

// stamp is the journal's field for the time of writing.
const stamp = "__REALTIME_TIMESTAMP"

// entryTime reads the field stamp, in microseconds; other text is the zero time.
func entryTime(text string) time.Time {
	us, err := strconv.ParseUint(text, 10, 63)
	if err != nil || us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(us))
}

// clean bounds every text and list and replaces characters that a terminal obeys.
func clean(e *event.Event) {
	for _, f := range event.Fields {
		if s, ok := f.At(e).(*string); ok {
			most := 80
			if s == &e.Evidence { // the reason of a dark source lists what was weighed
				most = 160
			}
			*s = show.Cut(*s, most)
		}
	}
	if len(e.Ports) > maxPorts {
		e.Ports = e.Ports[:maxPorts]
	}
}
