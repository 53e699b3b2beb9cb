// SPDX-License-Identifier: MIT

package daemon

import (
	"picket/engine"
	"picket/internal/config"
	"picket/internal/event"
)

// Describer describes the probes of a capture.
type Describer struct{ j *judge }

// NewDescriber returns one for what e judges, as c says.
func NewDescriber(c *config.Config, e *engine.Engine) Describer {
	return Describer{&judge{engine: e, config: c}} // without names: the indexes are those of the machine that captured
}

// Event describes a probe and what was decided about it.
func (d Describer) Event(p *engine.Probe, dec *engine.Decision) event.Event { return d.j.event(p, dec) }

// PatternOf makes of the event of a probe that of the pattern it completed.
func PatternOf(ev event.Event, d *engine.Decision) event.Event { return patternOf(ev, d) }

// PatternName writes a pattern as people do.
func PatternName(p string) string { return patternName(p) }
