// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"picket/engine"
	"picket/internal/journal"
	"picket/internal/state"
)

// stateFile is where what outlives the process is kept: the first directory of
// $STATE_DIRECTORY, by default /var/lib/picket.
func stateFile() state.File {
	dir, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":")
	return state.File{Path: filepath.Join(cmp.Or(dir, "/var/lib/picket"), "state"), Kind: "state", Version: 1}
}

// A kept block is one line of the state file.
type keptBlock struct {
	Source    netip.Prefix `json:"source"`
	Since     time.Time    `json:"since"`
	Until     time.Time    `json:"until"`
	Reason    string       `json:"reason,omitempty"`
	Pattern   string       `json:"pattern,omitempty"`
	Technique string       `json:"technique,omitempty"`
	Tool      string       `json:"tool,omitempty"`
	Proven    bool         `json:"proven,omitempty"`
}

func keep(e *entry) keptBlock {
	return keptBlock{e.source, e.since, e.until, e.event.Reason, e.event.Pattern, e.event.Technique, e.event.Tool, e.event.Proven}
}

func (k keptBlock) event() engine.Event {
	return engine.Event{
		Event: "block", Time: k.Since, Source: sourceName(k.Source), Action: engine.Block.String(), For: engine.Seconds(k.Until.Sub(k.Since)),
		Reason: k.Reason, Pattern: k.Pattern, Technique: k.Technique, Tool: k.Tool, Proven: k.Proven,
	}
}

// recall reads the blocks of the state file that have time left, and tells of
// a file that was of no use.
func (d *daemon) recall(now time.Time) (blocks []keptBlock) {
	_, err := stateFile().Load(func(r io.Reader) error {
		blocks = nil
		for dec := json.NewDecoder(r); ; {
			var k keptBlock
			if err := dec.Decode(&k); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			if k.Source.IsValid() && k.Until.After(now) {
				blocks = append(blocks, k)
			}
		}
	})
	if err != nil {
		kind := ""
		if errors.Is(err, state.ErrSetAside) {
			kind = journal.StateAside
		}
		d.journal.Notice(kind, "%v", err)
		return nil
	}
	return blocks
}

// keepState saves the book when it has changed, at most once a second and so
// that saving takes a twentieth of the time at most, and once more at the end.
func (d *daemon) keepState(ctx context.Context) {
	file := stateFile()
	if err := os.MkdirAll(filepath.Dir(file.Path), 0o700); err != nil {
		d.journal.Notice("", "blocks will not be kept over a reboot: %v", err)
		return
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var saved uint64
	var next time.Time
	told := ""
	for {
		select {
		case <-ctx.Done():
			return // lastState does the rest, when nobody owns the book any more
		case now := <-tick.C:
			if now.Before(next) {
				continue
			}
			var list []keptBlock
			var changes uint64
			if err := d.blocker.call(ctx, func() error {
				if changes = d.blocker.changes; changes != saved {
					list = d.blocker.kept()
				}
				return nil
			}); err != nil || changes == saved {
				continue
			}
			saved = changes
			began := time.Now()
			if err := file.Save(func(w io.Writer) error { return writeBlocks(w, list) }); err != nil && err.Error() != told {
				told = err.Error()
				d.journal.Notice("", "blocks will not be kept over a reboot: %v", err)
			}
			next = began.Add(20 * time.Since(began))
		}
	}
}

// lastState saves the book when its owner has ended.
func (d *daemon) lastState() {
	list := d.blocker.kept()
	if err := stateFile().Save(func(w io.Writer) error { return writeBlocks(w, list) }); err != nil {
		d.journal.Notice("", "blocks are not kept over a reboot: %v", err)
	}
}

func writeBlocks(w io.Writer, list []keptBlock) error {
	b := bufio.NewWriterSize(w, 1<<16)
	enc := json.NewEncoder(b)
	for _, k := range list {
		if err := enc.Encode(k); err != nil {
			return err
		}
	}
	return b.Flush()
}

// forgetState removes the state file, for "picket remove".
func forgetState() error {
	if err := os.Remove(stateFile().Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
