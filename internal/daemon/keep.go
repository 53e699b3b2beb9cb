// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"encoding/gob"
	"io"
	"net/netip"
	"slices"
	"time"

	"picket/engine"
	"picket/internal/event"
	"picket/internal/journal"
	"picket/internal/state"
)

// stateFile is where what outlives the process is kept.
func stateFile() state.File { return state.Of("state", 2) }

// A record is what the state file has many of; one of the fields is set. Records are
// written and read one by one, so that the file may be larger than memory.
type record struct {
	Block  *keptBlock
	Memory []byte // a part of the engine's: sources half judged, repeat offenders
}

// A keptBlock is one block of the book, with what is told of it later. 100,000
// whole events would take four times as long to read and twice the memory.
type keptBlock struct {
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
	Response  string // "" is a block, of a picket that knew no other
}

func (k keptBlock) ref() ref {
	for _, r := range responses {
		if k.Response == r.String() {
			return ref{r, k.Source}
		}
	}
	return ref{engine.Block, k.Source}
}

func keep(e *entry) keptBlock {
	ev := &e.Event
	return keptBlock{
		Source: e.Source, Since: e.since, Until: e.until, Commanded: e.Commanded, Maker: e.Maker,
		Reason: ev.Reason, Evidence: ev.Evidence, Pattern: ev.Pattern, Technique: ev.Technique, Tool: ev.Tool,
		Proven: ev.Proven, Protocol: ev.Protocol, Port: ev.Port, Mode: ev.Mode,
		Config: ev.Config, Known: ev.Known, Country: ev.Country, Response: e.response.String(),
	}
}

func (k keptBlock) event() event.Event {
	return event.Event{
		Event: "block", Time: k.Since, Source: event.SourceName(k.Source),
		Action: k.ref().response.String(), For: event.Seconds(k.Until.Sub(k.Since)),
		Reason: k.Reason, Evidence: k.Evidence, Pattern: k.Pattern, Technique: k.Technique, Tool: k.Tool, Proven: k.Proven,
		Protocol: k.Protocol, Port: k.Port, Mode: k.Mode, Config: k.Config, Known: k.Known, Country: k.Country,
	}
}

// A store writes the state: the blocks, as they are when their turn comes, and
// the engine's memory. No more than a part of either is in memory.
type store struct {
	entries func() ([]*entry, error)
	keep    func([]*entry) ([]keptBlock, error)
	memory  func() (engine.Memory, error)
	next    func(m *engine.Memory, to []byte) (part []byte, more bool, err error)
}

// store is for while the owners work.
func (d *daemon) store(ctx context.Context) *store {
	return &store{
		entries: func() ([]*entry, error) { return d.orders.entries(ctx) },
		keep:    func(list []*entry) ([]keptBlock, error) { return d.orders.keep(ctx, list) },
		memory:  func() (engine.Memory, error) { return d.docket.memory(ctx) },
		next: func(m *engine.Memory, to []byte) (part []byte, more bool, err error) {
			return d.docket.nextPart(ctx, m, to)
		},
	}
}

// lastStore is for when nobody owns anything any more.
func lastStore(b *blocker, j *judge) *store {
	return &store{
		entries: func() ([]*entry, error) { return b.book.ends, nil },
		keep:    func(list []*entry) ([]keptBlock, error) { return b.book.keep(list), nil },
		memory:  func() (engine.Memory, error) { return j.engine.Memory(), nil },
		next: func(m *engine.Memory, to []byte) (part []byte, more bool, err error) {
			part, more = m.Next(to)
			return part, more, nil
		},
	}
}

// write writes all records.
func (s *store) write(w io.Writer) error {
	out := gob.NewEncoder(w)
	entries, err := s.entries()
	if err != nil {
		return err
	}
	for list := range slices.Chunk(entries, batch) {
		blocks, err := s.keep(list)
		if err != nil {
			return err
		}
		for i := range blocks {
			if err := out.Encode(record{Block: &blocks[i]}); err != nil {
				return err
			}
		}
	}
	m, err := s.memory()
	if err != nil {
		return err
	}
	var part []byte
	for more := true; more; {
		if part, more, err = s.next(&m, part[:0]); err != nil {
			return err
		}
		if err := out.Encode(record{Memory: part}); err != nil {
			return err
		}
	}
	return nil
}

// keep returns those of a list that are in the book still, as the state file has them.
func (b *book) keep(list []*entry) []keptBlock {
	out := make([]keptBlock, 0, len(list))
	for _, e := range list {
		if b.get(e.ref()) == e {
			out = append(out, keep(e))
		}
	}
	return out
}

// keepState saves the book when it has changed, and the engine's memory with it.
func (d *daemon) keepState(ctx context.Context) {
	store := d.store(ctx)
	trouble := journal.NewTrouble(d.journal, "keeping blocks over a reboot")
	d.saver.Run(ctx, d.changes, func() error { return stateFile().Save(store.write) }, trouble.Tell)
}

// changes returns how often the book changed so far, and how many probes there were.
func (d *daemon) changes(ctx context.Context) (c state.Changes, err error) {
	if c.Later, err = d.docket.probed(ctx); err == nil {
		c.Soon, err = d.orders.changes(ctx)
	}
	return c, err
}

// lastState saves everything when nobody owns it any more.
func (d *daemon) lastState(b *blocker, j *judge) {
	c := state.Changes{Soon: b.book.changes, Later: j.engine.Stats().Probes}
	if err := d.saver.Last(c, func() error { return stateFile().Save(lastStore(b, j).write) }); err != nil {
		d.journal.Notice("", "blocks are not kept over a reboot: %v", err)
	}
}
