// SPDX-License-Identifier: MIT

package daemon

import (
	"fmt"
	"math"
	"time"

	"picket/engine"
	"picket/internal/event"
	"picket/internal/inline"
)

// A visit is a SYN to a service that waits for its verdict, and the bytes of its
// packet.
type visit struct {
	inline.Held
	raw  [inline.Snaplen]byte
	size int
}

// ahead judges the probes that were there before a visit.
func (j *judge) ahead() {
	if len(j.docket.word) > 0 {
		j.forget()
	}
	for n := len(j.docket.probes); n > 0; n -= len(j.waiting) {
		select {
		case m := <-j.docket.probes:
			j.batch(m)
		default:
			return
		}
	}
}

// visit judges a visit. Where a fence follows, the blocker answers once the kernel has
// the fence. If that takes too long, the visit is let in by its age.
func (j *judge) visit(v *visit) {
	d := j.engine.Doubt(v.Probe)
	fenced := d.Action == engine.Fence && j.mock == nil
	if !fenced {
		v.Answer(!d.Refused || j.mock != nil)
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
	w.visit.Answer(false)
	hold(&w.event, now.Sub(w.visit.Since))
	w.visit = nil
}

// hold says how long a packet waited.
func hold(ev *event.Event, t time.Duration) {
	ev.Held = uint32(min(t.Microseconds(), math.MaxUint32))
	ev.Reason += fmt.Sprintf(", held inline for %.1f ms", float64(t.Microseconds())/1000)
}
