// SPDX-License-Identifier: MIT

package daemon

import (
	"fmt"
	"math"
	"slices"
	"time"

	"picket/engine"
	"picket/internal/event"
	"picket/internal/inline"
)

// A visit is a SYN to a service that waits for its verdict, with the bytes of its packet.
type visit struct {
	inline.Held
	raw  [visitSnaplen]byte
	size int
}

const (
	// visitSnaplen is how many bytes of its packet the evidence stores.
	visitSnaplen = 128

	// patience is how long a visit waits for the reader, a part of [inline.Age].
	patience = inline.Age / 4

	// lookAgain is the pause before the next look at the reader.
	lookAgain = 100 * time.Microsecond
)

// admit judges the visits that wait, in order, each after the probes that were mirrored before
// it: on a busy machine these may be read later.
func (j *judge) admit() {
	j.ahead()
	for len(j.later) > 0 {
		if v := &j.later[0]; j.behind() && time.Since(v.Since) < patience {
			j.again.Reset(lookAgain)
			return
		}
		j.ahead()
		j.visit(&j.later[0])
		j.later = slices.Delete(j.later, 0, 1) // the kernel holds few
	}
}

// behindKernel reports whether mirrored probes are still unread.
func (d *daemon) behindKernel() bool { return d.reader != nil && d.reader.Behind() }

// ahead judges the probes that wait, those that came before a visit.
func (j *judge) ahead() {
	j.heed()
	for n := len(j.docket.probes); n > 0; n -= len(j.waiting) {
		select {
		case m := <-j.docket.probes:
			j.batch(m)
		default:
			return
		}
	}
}

// visit judges a visit. If a fence follows, the blocker answers once the kernel has the fence.
// If that takes too long, the age answers.
func (j *judge) visit(v *visit) {
	d := j.engine.Doubt(v.Probe)
	fenced := d.Action == engine.Fence && j.mock == nil
	switch {
	case j.mock != nil, !d.Refused && !fenced:
		v.Answer(inline.Let)
	case !fenced:
		v.Answer(inline.Refuse)
	case d.Refused:
		v.Answer(inline.Doom)
	}
	if !d.Refused && !fenced {
		return // a visit is no probe
	}
	j.evidence.Add(j.engine.SourceOf(v.Probe.Source), &v.Probe, &d, v.raw[:v.size])
	if !d.Tell {
		return
	}
	ev := j.event(&v.Probe, &d)
	if !fenced {
		ev.Event, ev.Source = "probe", v.Probe.Source.String()
		hold(&ev, time.Since(v.Since))
		j.journal.Event(ev)
		return
	}
	kept := *v
	j.respond(&v.Probe, &d, ev, &kept)
}

// turnAway refuses the visit that led to a response, now that the response is in force.
func (w *blockWork) turnAway(now time.Time) {
	if w.visit == nil {
		return
	}
	w.visit.Answer(inline.Refuse)
	hold(&w.event, now.Sub(w.visit.Since))
	w.visit = nil
}

// hold writes into an event how long a packet waited.
func hold(ev *event.Event, t time.Duration) {
	ev.Held = uint32(min(t.Microseconds(), math.MaxUint32))
	ev.Evidence += fmt.Sprintf("; held inline for %.1f ms", float64(t.Microseconds())/1000)
}
