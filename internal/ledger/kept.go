// SPDX-License-Identifier: MIT

package ledger

import (
	"encoding/gob"
	"errors"
	"io"
	"net/netip"
	"slices"
	"time"

	"picket/engine"
	"picket/internal/event"
	"picket/internal/state"
)

// File is the state file: the part that outlives the process.
func File() state.File { return state.Of("state", 2) }

// part is how many responses are copied at a time, beside those of the book.
const part = 500

// A record is one of many in the state file, with one field set. Records are written
// and read one by one, so the file may be larger than memory.
type record struct {
	Block  *Kept
	Memory []byte // a part of the engine's: sources half judged, repeat offenders
}

// A Kept is one response in the file, with the facts for its later events. 100,000
// whole events would take four times as long to read and twice the memory.
type Kept struct {
	Source    netip.Prefix
	Since     time.Time
	Until     time.Time
	Reason    string
	Evidence  string
	Pattern   string
	Technique string
	Tool      string
	Proven    bool
	Protocol  string
	Port      uint16
	Mode      string
	Config    string
	Known     string
	Country   string
	Commanded bool // the operator's command has run
	Maker     event.Maker
	Response  string // "" is a block, by a picket that knew no other
}

// Ref names the response.
func (k *Kept) Ref() Ref {
	for _, r := range responses {
		if k.Response == r.String() {
			return Ref{r, k.Source}
		}
	}
	return Ref{engine.Block, k.Source}
}

// kept returns an entry as the file has it.
func kept(e *Entry) Kept {
	ev := e.Event()
	return Kept{
		Source: e.Source, Since: e.Since, Until: e.Until, Commanded: e.Commanded, Maker: e.Maker,
		Reason: ev.Reason, Evidence: ev.Evidence, Pattern: ev.Pattern, Technique: ev.Technique, Tool: ev.Tool,
		Proven: ev.Proven, Protocol: ev.Protocol, Port: ev.Port, Mode: ev.Mode,
		Config: ev.Config, Known: ev.Known, Country: ev.Country, Response: e.Response.String(),
	}
}

// Event is most of the event of the response.
func (k *Kept) Event() event.Event {
	return event.Event{
		Event: "block", Time: k.Since, Source: event.SourceName(k.Source),
		Action: k.Ref().Response.String(), For: event.Seconds(k.Until.Sub(k.Since)),
		Reason: k.Reason, Evidence: k.Evidence, Pattern: k.Pattern, Technique: k.Technique, Tool: k.Tool,
		Proven: k.Proven, Protocol: k.Protocol, Port: k.Port, Mode: k.Mode, Config: k.Config, Known: k.Known,
		Country: k.Country,
	}
}

// Contents are the contents of the file: the responses, each as it is when its turn
// comes, and the engine's memory. Only a part of either is copied at a time.
type Contents struct {
	Entries func() ([]*Entry, error)
	Keep    func([]*Entry) ([]Kept, error) // see [Book.Keep]
	Memory  func() (engine.Memory, error)
	Next    func(m *engine.Memory, to []byte) (part []byte, more bool, err error)
}

// Write writes all.
func (c *Contents) Write(w io.Writer) error {
	out := gob.NewEncoder(w)
	entries, err := c.Entries()
	if err != nil {
		return err
	}
	for list := range slices.Chunk(entries, part) {
		blocks, err := c.Keep(list)
		if err != nil {
			return err
		}
		for i := range blocks {
			if err := out.Encode(record{Block: &blocks[i]}); err != nil {
				return err
			}
		}
	}
	m, err := c.Memory()
	if err != nil {
		return err
	}
	var bytes []byte
	for more := true; more; {
		if bytes, more, err = c.Next(&m, bytes[:0]); err != nil {
			return err
		}
		if err := out.Encode(record{Memory: bytes}); err != nil {
			return err
		}
	}
	return nil
}

// Keep returns the entries of a list that are still in the book, as the file has them.
func (b *Book) Keep(list []*Entry) []Kept {
	out := make([]Kept, 0, len(list))
	for _, e := range list {
		if b.Get(e.Ref()) == e {
			out = append(out, kept(e))
		}
	}
	return out
}

// bound limits the time left of a block to the time granted, whatever the clock was
// when it was saved and is now. It reports whether time is left.
func (k *Kept) bound(now time.Time) bool {
	granted := k.Until.Sub(k.Since)
	left := min(k.Until.Sub(now), granted)
	if k.Since.After(now) {
		k.Since = now
	}
	k.Until = now.Add(left)
	return k.Source.IsValid() && left > 0
}

// mostWords bounds how many texts are shared.
const mostWords = 4096

// share gives blocks with the same reason the same text: gob makes one for each.
func (k *Kept) share(words map[string]string) {
	for _, text := range []*string{
		&k.Reason, &k.Evidence, &k.Pattern, &k.Technique, &k.Tool,
		&k.Protocol, &k.Mode, &k.Config, &k.Known, &k.Country,
	} {
		if same, ok := words[*text]; ok {
			*text = same
		} else if len(words) < mostWords {
			words[*text] = *text
		}
	}
}

// Read reads the output of Write. It hands the responses with time left to take, 500
// at a time, and then the engine's memory to recall, part by part.
func Read(r io.Reader, take func([]Kept) error, recall func(part []byte) error) error {
	var list []Kept
	words := make(map[string]string)
	for in := gob.NewDecoder(r); ; {
		var x record
		err := in.Decode(&x)
		if k := x.Block; k != nil && k.bound(time.Now()) {
			k.share(words)
			list = append(list, *k)
		}
		if len(list) >= part || len(list) > 0 && (err != nil || x.Memory != nil) {
			if failed := take(list); failed != nil {
				return failed
			}
			list = list[:0]
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if x.Memory != nil {
			if err := recall(x.Memory); err != nil {
				return err
			}
		}
	}
}
