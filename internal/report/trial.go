// SPDX-License-Identifier: MIT

package report

import (
	"fmt"

	"picket/internal/event"
	"picket/internal/show"
)

// A Trial is what a dry run would have done.
type Trial struct {
	Sources   int     `json:"sources"`   // that it would have answered
	Responses []Count `json:"responses"` // by what it would have done: dark, fence, block
	Unwanted  uint64  `json:"unwanted"`  // probes of ports that nobody serves, ordinary life left out
	Kept      uint64  `json:"kept"`      // of these, those it would have kept off
}

// trial counts a dry run's events. The zero trial is none.
type trial struct {
	Trial
	sources map[string]bool
	by      map[string]int
}

func (t *trial) add(e *event.Event) {
	if t.by == nil {
		t.by, t.sources = map[string]int{}, map[string]bool{}
	}
	if e.Source == "" { // how it went since the event before
		t.Unwanted += uint64(e.Probes)
		t.Kept += e.Drops
		return
	}
	count(t.by, e.Would)
	if len(t.sources) < maxSources {
		t.sources[e.Source] = true
	}
}

// sum returns the result, nil if there was no trial.
func (t *trial) sum(top int) *Trial {
	if t.by == nil {
		return nil
	}
	out := t.Trial
	out.Sources, out.Responses = len(t.sources), ranked(t.by, top)
	return &out
}

// String says it in a sentence.
func (t *Trial) String() string {
	text := show.Plural(t.Sources, "source") + " would have been answered"
	if len(t.Responses) > 0 {
		text += " (" + counted(t.Responses, plain) + ")"
	}
	if t.Unwanted > 0 {
		text += fmt.Sprintf("; %d of %d unwanted probes, %s, would have been kept off",
			t.Kept, t.Unwanted, show.Percent(min(t.Kept, t.Unwanted), t.Unwanted))
	}
	return text
}
