// SPDX-License-Identifier: MIT

package report

import (
	"fmt"

	"picket/internal/event"
	"picket/internal/show"
)

// A Trial is the would-be effect of a dry run.
type Trial struct {
	Sources   int     `json:"sources"`   // with a would-be response
	Responses []Count `json:"responses"` // dark, fence, block
	Unwanted  uint64  `json:"unwanted"`  // probes of unserved ports, without ordinary life
	Kept      uint64  `json:"kept"`      // those it would have kept off
}

// trial counts a dry run's events. The zero trial is empty.
type trial struct {
	Trial
	sources map[string]bool
	by      map[string]int
}

func (t *trial) add(e *event.Event) {
	if t.by == nil {
		t.by, t.sources = map[string]int{}, map[string]bool{}
	}
	if e.Source == "" { // the sums since the last such event
		t.Unwanted += uint64(e.Probes)
		t.Kept += e.Drops
		return
	}
	count(t.by, e.Would)
	if len(t.sources) < maxSources {
		t.sources[e.Source] = true
	}
}

// sum returns the result, or nil without a trial.
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
