// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"encoding/gob"
	"errors"
	"io"
	"time"

	"picket/internal/journal"
	"picket/internal/state"
)

// readyWithin is how long what waits for picket to be ready (the network, at boot)
// is held up by blocks of an earlier run. 20,000 are back within it, and more
// within the second.
const readyWithin = 300 * time.Millisecond

// remember has the owners know what an earlier run knew, from the state file and
// the kernel, while the rules are in force and probes are judged; then it keeps the
// file up to date.
func (d *daemon) remember(ctx context.Context, ready func()) error {
	if err := d.recall(ctx, d.lost); errors.Is(err, errStopping) {
		return nil // the file stays as it is
	}
	d.adopt(ctx)
	d.known.Store(true)
	close(d.remembered)
	ready()
	d.keepState(ctx)
	return nil
}

// bound has a block last no longer than it was granted, whatever the clock was
// when it was saved and is now, and reports whether it has time left.
func (k *keptBlock) bound(now time.Time) bool {
	granted := k.Until.Sub(k.Since)
	left := min(k.Until.Sub(now), granted)
	if k.Since.After(now) {
		k.Since = now
	}
	k.Until = now.Add(left)
	return k.Source.IsValid() && left > 0
}

// mostWords bounds how many texts are looked for among those that were read.
const mostWords = 4096

// share has blocks of the same reasons have one text of each: gob makes one for
// each block.
func (k *keptBlock) share(words map[string]string) {
	for _, text := range []*string{
		&k.Reason, &k.Evidence, &k.Pattern, &k.Technique, &k.Tool, &k.Protocol, &k.Mode, &k.Config, &k.Known, &k.Country,
	} {
		if same, ok := words[*text]; ok {
			*text = same
		} else if len(words) < mostWords {
			words[*text] = *text
		}
	}
}

// recall reads the state file and hands it over, part by part, and tells of one
// that was of no use. lost says that the kernel has none of the blocks.
func (d *daemon) recall(ctx context.Context, lost bool) error {
	_, err := stateFile().Load(func(r io.Reader) error {
		var blocks []keptBlock
		words := make(map[string]string)
		for in := gob.NewDecoder(r); ; {
			var k record
			err := in.Decode(&k)
			if k.Block != nil {
				k.Block.share(words)
				blocks = append(blocks, *k.Block)
			}
			if len(blocks) >= batch || err != nil {
				if failed := d.restore(ctx, blocks, lost); failed != nil {
					return failed
				}
				blocks = blocks[:0]
			}
			switch {
			case errors.Is(err, io.EOF):
				return nil
			case err != nil:
				return err
			}
			if k.Memory != nil {
				if err := d.docket.recall(ctx, k.Memory); err != nil {
					return blame(err)
				}
			}
		}
	})
	switch {
	case errors.Is(err, state.ErrSetAside):
		d.journal.Notice(journal.StateAside, "%v", err)
		return nil
	case err != nil && !errors.Is(err, errStopping):
		d.journal.Notice("", "%v", err)
	}
	return err
}

// restore books blocks of an earlier run, and puts them into the kernel if it has
// lost them. If the kernel refuses, they are lost, and it is told.
func (d *daemon) restore(ctx context.Context, list []keptBlock, lost bool) error {
	now := time.Now()
	n := 0
	for _, k := range list {
		if k.bound(now) {
			list[n] = k
			n++
		}
	}
	if list = list[:n]; n == 0 {
		return nil
	}
	list, err := d.orders.restore(ctx, list, lost)
	if err == nil {
		err = d.docket.restore(ctx, inForceOf(list)...)
	}
	return blame(err)
}

// blame has an end of picket not be the state file's fault.
func blame(err error) error {
	if errors.Is(err, errStopping) {
		return errors.Join(err, state.ErrInterrupted)
	}
	return err
}

func inForceOf(list []keptBlock) []inForce {
	out := make([]inForce, len(list))
	for i, k := range list {
		out[i] = inForce{k.ref(), k.Since, k.Until}
	}
	return out
}
