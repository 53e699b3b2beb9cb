// SPDX-License-Identifier: MIT

package engine

import (
	"net/netip"

	"picket/engine/internal/crowd"
)

// muchBackscatter is how many answers to what we never sent, in one span, are
// an event of their own: somebody forges our address in earnest.
const muchBackscatter = 100

// scattered counts an answer to what this host never sent.
func (e *Engine) scattered(from netip.Addr, now int64, d *Decision) {
	d.Reason = Backscatter
	if e.scatter.Add(now, muchBackscatter) {
		d.NewPattern, d.Probes = true, uint32(e.scatter.Count)
	}
	if e.victims.See(e.keyOf(from), now, e.sources.seed) {
		d.NewPattern, d.Probes, d.Source = true, crowd.VictimAnswers+1, e.SourceOf(from)
	}
	if d.NewPattern {
		d.Pattern, d.Tell = Reflection, true
	}
}
