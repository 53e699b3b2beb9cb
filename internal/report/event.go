// SPDX-License-Identifier: MIT

package report

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"picket/internal/show"
	"strconv"
	"strings"
	"time"
)

// An Event is as much of an event.Event as a report is made of. What is in it
// comes from a file or a journal that others may have written to.
type Event struct {
	Event     string    `json:"event"`
	Time      time.Time `json:"time"`
	Source    string    `json:"source"`
	Protocol  string    `json:"protocol"`
	Port      uint16    `json:"port"`
	Technique string    `json:"technique"`
	Pattern   string    `json:"pattern"`
	Tool      string    `json:"tool"`
	Proven    bool      `json:"proven"`
	Probes    uint32    `json:"probes"`
	PortsSeen uint32    `json:"ports_seen"`
	Ports     []string  `json:"ports"`
	Action    string    `json:"action"`
	Reason    string    `json:"reason"`
	Country   string    `json:"country"`
	ASN       uint32    `json:"asn"`
	Network   string    `json:"network"`
	Known     string    `json:"known"`
}

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
// replay --json" prints them and, with journal, "journalctl -o json" does. What
// is no event is passed over; if that is not one of picket's other lines, the
// error is a [*Fault] at the end.
func Read(r io.Reader, journal bool, each func(Event)) error {
	b := bufio.NewReaderSize(r, maxLine)
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
		ev, bad := Event{}, fmt.Errorf("%w: longer than %d bytes", ErrNotEvent, maxLine)
		if !long {
			ev, bad = parse(line, journal)
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
func parse(line []byte, journal bool) (ev Event, err error) {
	if len(strings.TrimSpace(string(line))) == 0 {
		return ev, nil
	}
	if journal {
		ev, err = parseJournal(line)
	} else {
		err = json.Unmarshal(line, &ev)
	}
	if err != nil {
		return Event{}, fmt.Errorf("%w: %v", ErrNotEvent, err)
	}
	switch ev.Event {
	case "probe", "pattern", "block", "unblock", "expire", "ignore", "lost", "notice":
		ev.clean()
		if ev.Time.IsZero() {
			return Event{}, fmt.Errorf("%w: without a time", ErrNotEvent)
		}
		return ev, nil
	case "packet", "summary", "difference": // of "picket replay --json"
		return Event{}, nil
	}
	return Event{}, fmt.Errorf("%w: its event is %.40q", ErrNotEvent, ev.Event)
}

// parseJournal reads an entry of the journal, whose values are texts, lists of
// bytes if they were not printable, lists of texts if there were several, or
// null if they were long (journalctl's "-o json"). Whatever is no text is taken
// for nothing.
func parseJournal(line []byte) (ev Event, err error) {
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
	number := func(key string, bits int) uint64 {
		n, err := strconv.ParseUint(text(key), 10, bits)
		if err != nil {
			return 0
		}
		return n
	}
	ev = Event{
		Event: text("PICKET_EVENT"), Source: text("PICKET_SOURCE"), Protocol: text("PICKET_PROTOCOL"), Port: uint16(number("PICKET_PORT", 16)),
		Technique: text("PICKET_TECHNIQUE"), Pattern: text("PICKET_PATTERN"), Tool: text("PICKET_TOOL"), Proven: text("PICKET_PROVEN") == "true",
		Probes: uint32(number("PICKET_PROBES", 32)), PortsSeen: uint32(number("PICKET_PORTS_SEEN", 32)), Ports: strings.Fields(text("PICKET_PORTS")),
		Action: text("PICKET_ACTION"), Reason: text("PICKET_REASON"), Country: text("PICKET_COUNTRY"), ASN: uint32(number("PICKET_ASN", 32)),
		Network: text("PICKET_NETWORK"), Known: text("PICKET_KNOWN"),
	}
	// The event's own time: the entry's is when it was written.
	if ev.Time, err = time.Parse(time.RFC3339Nano, text("PICKET_TIME")); err != nil {
		if us := number("__REALTIME_TIMESTAMP", 63); us > 0 {
			ev.Time = time.UnixMicro(int64(us))
		}
	}
	return ev, nil
}

// clean bounds every text and replaces what a terminal might act on.
func (e *Event) clean() {
	for _, s := range []*string{&e.Source, &e.Protocol, &e.Technique, &e.Pattern, &e.Tool, &e.Action, &e.Reason, &e.Country, &e.Network, &e.Known} {
		*s = show.Cut(*s, 80)
	}
	if len(e.Ports) > maxPorts {
		e.Ports = e.Ports[:maxPorts]
	}
}
