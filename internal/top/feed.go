// SPDX-License-Identifier: MIT

package top

import (
	"slices"
	"strings"
	"time"

	"picket/internal/control"
	"picket/internal/event"
)

// A change is a difference between one look and the next.
type change struct {
	at     time.Time
	source string
	words  string
}

// A feed keeps the last changes.
type feed struct{ list []change }

// mostChanges is the number of changes kept.
const mostChanges = 500

// add notes changes. The first look has no earlier one, and not every look reads
// the blocks.
func (f *feed) add(old, now *View) {
	if old.at.IsZero() || now.trouble != nil || old.status.Pid != now.status.Pid {
		return
	}
	seen := map[string]bool{}
	for i := range old.sources {
		seen[old.sources[i].Name] = true
	}
	for i := range now.sources {
		if s := &now.sources[i]; !seen[s.Name] && s.First.After(old.at) {
			f.note(s.First, s.Name, strings.TrimSpace("seen for the first time "+s.Tool))
		}
	}
	if now.blocked.After(old.blocked) {
		f.compare(old.blocks, now.blocks, now.at)
	}
	if n := len(f.list) - mostChanges; n > 0 {
		f.list = slices.Delete(f.list, 0, n)
	}
}

// compare notes new and ended blocks.
func (f *feed) compare(old, now []control.Block, at time.Time) {
	type ref struct{ name, response string }
	there := make(map[ref]bool, len(old))
	for i := range old {
		there[ref{old[i].Name, old[i].Response}] = true
	}
	for i := range now {
		b := &now[i]
		if r := (ref{b.Name, b.Response}); there[r] {
			delete(there, r)
		} else {
			f.note(b.Since, b.Name, strings.TrimSpace(response(b.Response)+": "+event.Why(b.Reason,
				b.Evidence, b.Known)))
		}
	}
	for i := range old {
		if b := &old[i]; there[ref{b.Name, b.Response}] {
			f.note(at, b.Name, response(b.Response)+" has ended")
		}
	}
}

// response names the response of a block.
func response(name string) string {
	if name == "" {
		return "block"
	}
	return name
}

func (f *feed) note(at time.Time, source, words string) {
	f.list = append(f.list, change{at, source, words})
}

// latest returns the changes, the latest first.
func (f *feed) latest() []change {
	out := slices.Clone(f.list)
	slices.Reverse(out)
	return out
}
