// SPDX-License-Identifier: MIT

package daemon

import (
	"cmp"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"picket/engine"
	"picket/internal/event"
	"picket/internal/journal"
	"picket/internal/state"
)

// stateFile is where what outlives the process is kept: the first directory of
// $STATE_DIRECTORY, by default /var/lib/picket.
func stateFile() state.File {
	dir, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":")
	return state.File{Path: filepath.Join(cmp.Or(dir, "/var/lib/picket"), "state"), Kind: "state", Version: 2}
}

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

// memoryAge is how old the engine's memory in the state file may be: what a
// crash makes it forget. The book is saved sooner.
const memoryAge = 5 * time.Second

// saveAgain is how long to wait after saving has failed.
const saveAgain = 10 * time.Second

// keepState saves the book when it has changed, at most once a second, and the
// engine's memory with it, or by itself when that has grown old; and so that
// saving takes a twentieth of the time at most. lastState saves once more.
func (d *daemon) keepState(ctx context.Context) {
	if err := os.MkdirAll(filepath.Dir(stateFile().Path), 0o700); err != nil {
		d.journal.Notice("", "blocks will not be kept over a reboot: %v", err)
		return
	}
	store := d.store(ctx)
	d.saver.run(ctx, d.counts, func() error { return stateFile().Save(store.write) })
}

// counts returns how often the book changed so far, and how many probes there were.
func (d *daemon) counts(ctx context.Context) (c counts, err error) {
	if c.probes, err = d.docket.probed(ctx); err == nil {
		c.changes, err = d.orders.changes(ctx)
	}
	return c, err
}

// A saver saves what has changed. What could not be saved is tried again.
type saver struct {
	journal *journal.Writer
	saved   counts
	busy    chan error // of a save that is not over
}

// save runs f, and returns when it is over or ctx has ended: a disk may take a
// minute for what a stop cannot wait for.
func (s *saver) save(ctx context.Context, f func() error) error {
	s.busy = make(chan error, 1)
	go func(done chan<- error) { done <- f() }(s.busy)
	select {
	case err := <-s.busy:
		s.busy = nil
		return err
	case <-ctx.Done():
		return errStopping
	}
}

type counts struct{ changes, probes uint64 }

// run saves until ctx ends.
func (s *saver) run(ctx context.Context, now func(context.Context) (counts, error), save func() error) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	trouble := journal.NewTrouble(s.journal, "keeping blocks over a reboot")
	var last, next time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case at := <-tick.C:
			if at.Before(next) {
				continue
			}
			c, err := now(ctx)
			if err != nil || c.changes == s.saved.changes && (c.probes == s.saved.probes || at.Sub(last) < memoryAge) {
				continue
			}
			err = s.save(ctx, save)
			if errors.Is(err, errStopping) {
				return
			}
			trouble.Tell(err)
			if err != nil {
				next = at.Add(saveAgain)
				continue
			}
			s.saved, last = c, at
			next = at.Add(20 * time.Since(at))
		}
	}
}

// lastSave is how long a stop waits for the disk. What was saved before stays if
// it takes longer, and that is of the last seconds.
const lastSave = 5 * time.Second

// lastState saves everything when nobody owns it any more, unless nothing has
// changed since.
func (s *saver) lastState(b *blocker, j *judge) {
	ctx, cancel := context.WithTimeout(context.Background(), lastSave)
	defer cancel()
	if s.busy != nil {
		select {
		case <-s.busy:
		case <-ctx.Done():
		}
	}
	var err error
	if ctx.Err() == nil {
		if c := (counts{b.book.changes, j.engine.Stats().Probes}); c == s.saved {
			return
		}
		err = s.save(ctx, func() error { return stateFile().Save(lastStore(b, j).write) })
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("the disk takes more than %v: what was saved last stays", lastSave)
	}
	if err != nil {
		s.journal.Notice("", "blocks are not kept over a reboot: %v", err)
	}
}

// forgetState removes the state file, for "picket remove".
func forgetState() error {
	if err := os.Remove(stateFile().Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
