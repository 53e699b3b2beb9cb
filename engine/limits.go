// SPDX-License-Identifier: MIT

package engine

// suspect reports whether many addresses, or many ports over days, count against a
// source: its score must bear that out, where scores are weighed.
func (e *Engine) suspect(s *source) bool { return e.telling(s, suspectAt) }

// exceeded returns the limit that a source is above, or BelowTrigger. Fresh says that the
// port is new to the source.
func (e *Engine) exceeded(s *source, d *Decision, fresh bool) Reason {
	switch {
	case d.Within > d.Trigger || d.Trigger == 0:
		return AboveTrigger
	case d.Targets > e.cfg.Sweep && e.suspect(s):
		return AboveSweep
	case fresh && e.suspect(s) && d.Ports > e.cfg.Slow && d.Ports > d.Inside:
		// What is all inside the window is the trigger's, and a port that was asked
		// before is nothing new, however long ago that was.
		return AboveSlow
	case d.Within+d.Copied > e.excused(d.Trigger):
		return AboveCopies
	case d.Neighbours > linkPorts && d.Within+d.Copied >= patternAt:
		return AboveLink
	case d.Pattern == Distributed && (e.cfg.Distributed == Block || e.cfg.Style == Graded):
		return PartOfScan
	case d.Pattern == Decoy:
		return IsDecoy
	}
	return BelowTrigger
}

// excused returns how many ports the copies of others excuse: a scanner can send copies
// himself from a second address. A fence may hit a source named as a decoy and does it
// little harm; for a block it takes twice the trigger, as far as a record can count.
func (e *Engine) excused(trigger int) int {
	if e.cfg.Style == Graded {
		return trigger
	}
	return min(2*trigger, MaxTrigger)
}
