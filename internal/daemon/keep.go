// SPDX-License-Identifier: MIT

package daemon

import (
	"cmp"
	"context"
	"encoding/gob"
	"errors"
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
	return state.File{Path: filepath.Join(cmp.Or(dir, "/var/lib/picket"), "state"), Kind: "state", Version: 1}
}

// A kept is what the state file holds.
type kept struct {
	Blocks []keptBlock
	Memory []byte // the engine's: sources half judged, repeat offenders
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
}

func keep(e *entry) keptBlock {
	ev := &e.Event
	return keptBlock{
		Source: e.Source, Since: e.since, Until: e.until, Reason: ev.Reason, Evidence: ev.Evidence, Pattern: ev.Pattern, Technique: ev.Technique,
		Tool: ev.Tool, Proven: ev.Proven, Protocol: ev.Protocol, Port: ev.Port, Mode: ev.Mode, Config: ev.Config, Known: ev.Known, Country: ev.Country, Commanded: e.Commanded, Maker: e.Maker,
	}
}

func (k keptBlock) event() event.Event {
	return event.Event{
		Event: "block", Time: k.Since, Source: event.SourceName(k.Source), Action: engine.Block.String(), For: event.Seconds(k.Until.Sub(k.Since)),
		Reason: k.Reason, Evidence: k.Evidence, Pattern: k.Pattern, Technique: k.Technique, Tool: k.Tool, Proven: k.Proven,
		Protocol: k.Protocol, Port: k.Port, Mode: k.Mode, Config: k.Config, Known: k.Known, Country: k.Country,
	}
}

// maker returns who made the block. An older picket knew that by a text alone.
func (k keptBlock) maker() event.Maker {
	if k.Maker == event.ByProbe && k.Config == event.HandConfig {
		return event.ByHand
	}
	return k.Maker
}

// recall reads the state file, and tells of one that was of no use. Blocks
// that have no time left are left out. With gob, 100,000 blocks are read in
// 50 ms, as lines of JSON in 300.
func (d *daemon) recall(now time.Time) (k kept) {
	_, err := stateFile().Load(func(r io.Reader) error { return gob.NewDecoder(r).Decode(&k) })
	if err != nil {
		kind := ""
		if errors.Is(err, state.ErrSetAside) {
			kind = journal.StateAside
		}
		d.journal.Notice(kind, "%v", err)
		return kept{}
	}
	k.Blocks = slices.DeleteFunc(k.Blocks, func(b keptBlock) bool { return !b.Source.IsValid() || !b.Until.After(now) })
	return k
}

func save(k kept) error {
	return stateFile().Save(func(w io.Writer) error { return gob.NewEncoder(w).Encode(k) })
}

// memoryAge is how old the engine's memory in the state file may be: what a
// crash makes it forget. The book is saved sooner.
const memoryAge = 5 * time.Second

// saveAgain is how long to wait after saving has failed.
const saveAgain = 10 * time.Second

// keepState saves the book when it has changed, at most once a second, and the
// engine's memory with it, or by itself when that has grown old; and so that
// saving takes a twentieth of the time at most. lastState saves once more.
func (d *daemon) keepState(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(stateFile().Path), 0o700); err != nil {
		d.journal.Notice("", "blocks will not be kept over a reboot: %v", err)
		return nil
	}
	keepSaving(ctx, d.journal, d.kept, save)
	return nil
}

// keepSaving saves what kept has. What could not be saved is tried again.
func keepSaving(ctx context.Context, j *journal.Writer, kept func(context.Context, func(changes, probes uint64) bool) (*kept, uint64, uint64, error), save func(kept) error) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	trouble := journal.NewTrouble(j, "keeping blocks over a reboot")
	var changes, probes uint64
	var last, next time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if now.Before(next) {
				continue
			}
			k, c, p, err := kept(ctx, func(c, p uint64) bool {
				return c != changes || p != probes && now.Sub(last) >= memoryAge
			})
			if err != nil || k == nil {
				continue
			}
			err = save(*k)
			trouble.Tell(err)
			if err != nil {
				next = now.Add(saveAgain)
				continue
			}
			changes, probes, last = c, p, now
			next = now.Add(20 * time.Since(now))
		}
	}
}

// kept copies what is to be kept, if it is due by the number of changes of the
// book and of probes that there were so far.
func (d *daemon) kept(ctx context.Context, due func(changes, probes uint64) bool) (k *kept, changes, probes uint64, err error) {
	if probes, err = d.docket.probed(ctx); err != nil {
		return nil, 0, 0, err
	}
	blocks, changes, err := d.orders.kept(ctx, func(changes uint64) bool { return due(changes, probes) })
	if err != nil || blocks == nil {
		return nil, 0, 0, err
	}
	memory, err := d.docket.remember(ctx)
	return &kept{blocks, memory}, changes, probes, err
}

// lastState saves everything when nobody owns it any more.
func lastState(b *blocker, j *judge) {
	if err := save(kept{b.kept(), j.engine.Remember(nil)}); err != nil {
		b.journal.Notice("", "blocks are not kept over a reboot: %v", err)
	}
}

// forgetState removes the state file, for "picket remove".
func forgetState() error {
	if err := os.Remove(stateFile().Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
