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

// File is the state file, which outlives the process.
func File() state.File { return state.Of("state", 2) }

// part is how many responses are copied at a time.
const part = 500

// A record is one record of the state file, with one field set. Records are written and read
// one by one, so the file may be larger than memory.
type record struct {
	Block  *Saved
	Memory []byte // a part of the engine's memory: half-judged sources, repeated offenders
}

// A Saved is one response in the file, with the facts for its later events. 100,000 whole
// events would take four times as long to read and twice the memory.
type Saved struct {
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
	Response  string // "" is a block, saved by a picket without other responses
}

// Ref names the response.
func (k *Saved) Ref() Ref {
	for _, r := range responses {
		if k.Response == r.String() {
			return Ref{r, k.Source}
		}
	}
	return Ref{engine.Block, k.Source}
}

// saved returns an entry in the form of the file.
func saved(e *Entry) Saved {
	ev := e.Event()
	return Saved{
		Source: e.Source, Since: e.Since, Until: e.Until, Commanded: e.Commanded, Maker: e.Maker,
		Reason: ev.Reason, Evidence: ev.Evidence, Pattern: ev.Pattern, Technique: ev.Technique, Tool: ev.Tool,
		Proven: ev.Proven, Protocol: ev.Protocol, Port: ev.Port, Mode: ev.Mode,
		Config: ev.Config, Known: ev.Known, Country: ev.Country, Response: e.Response.String(),
	}
}

// Event returns most of the event of the response.
func (k *Saved) Event() event.Event {
	return event.Event{
		Event: "block", Time: k.Since, Source: event.SourceName(k.Source),
		Action: k.Ref().Response.String(), For: event.Seconds(k.Until.Sub(k.Since)),
		Reason: k.Reason, Evidence: k.Evidence, Pattern: k.Pattern, Technique: k.Technique, Tool: k.Tool,
		Proven: k.Proven, Protocol: k.Protocol, Port: k.Port, Mode: k.Mode, Config: k.Config, Known: k.Known,
		Country: k.Country,
	}
}

// Contents are the contents of the file: the responses, each in its state when it is written,
// and the engine's memory. Only a part of either is copied at a time.
type Contents struct {
	Entries func() ([]*Entry, error)
	Saved   func([]*Entry) ([]Saved, error) // see [Book.Saved]
	Memory  func() (engine.Memory, error)
	Next    func(m *engine.Memory, to []byte) (part []byte, more bool, err error)
}

// Resting returns the contents of a book and an engine that nothing else uses.
func Resting(b *Book, e *engine.Engine) *Contents {
	return &Contents{
		Entries: func() ([]*Entry, error) { return b.Entries(), nil },
		Saved:   func(list []*Entry) ([]Saved, error) { return b.Saved(list), nil },
		Memory:  func() (engine.Memory, error) { return e.Memory(), nil },
		Next: func(m *engine.Memory, to []byte) (part []byte, more bool, err error) {
			part, more = m.Next(to)
			return part, more, nil
		},
	}
}

// Write writes everything.
func (c *Contents) Write(w io.Writer) error {
	out := gob.NewEncoder(w)
	entries, err := c.Entries()
	if err != nil {
		return err
	}
	for list := range slices.Chunk(entries, part) {
		blocks, err := c.Saved(list)
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

// Saved returns the entries of a list that are still in the book, as the file has them.
func (b *Book) Saved(list []*Entry) []Saved {
	out := make([]Saved, 0, len(list))
	for _, e := range list {
		if b.holds(e) {
			out = append(out, saved(e))
		}
	}
	return out
}

// bound limits the time left of a response to the time granted, even if the clock was wrong
// when it was saved or is wrong now. It reports whether time is left.
func (k *Saved) bound(now time.Time) bool {
	granted := k.Until.Sub(k.Since)
	left := min(k.Until.Sub(now), granted)
	if k.Since.After(now) {
		k.Since = now
	}
	k.Until = now.Add(left)
	return k.Source.IsValid() && left > 0
}

// mostWords is the most texts that are shared.
const mostWords = 4096

// share gives responses with the same reason the same text: gob makes one for each.
func (k *Saved) share(words map[string]string) {
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
func Read(r io.Reader, take func([]Saved) error, recall func(part []byte) error) error {
	var list []Saved
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
