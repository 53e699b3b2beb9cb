// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"picket/engine"
	"picket/internal/control"
	"picket/internal/event"
	"picket/internal/probe"
)

// A mock is what a dry run would have done: the judge's book of responses that
// the engine ordered and nobody made, and what they would have kept off.
type mock struct {
	since    time.Time
	by       map[ref]*mockEntry
	lengths  []int // of the prefixes in by, the longest first
	unwanted uint64
	kept     uint64
	sources  map[netip.Prefix]struct{} // that a response was ordered for, at most maxMock
	told     control.Trial             // what the last event said
}

type mockEntry struct {
	until int64          // the kernel's clock, as probes have it
	row   *control.Block // nil for one of so many that they are counted alone
}

// maxMock is how many responses of a trial are described, and how many sources
// are told apart.
const maxMock = 1 << 14

func newMock(now time.Time) *mock {
	return &mock{since: now, by: map[ref]*mockEntry{}, sources: map[netip.Prefix]struct{}{}}
}

// keepsOff counts a probe that a response would have kept off, and says by which.
// The kernel mirrors none of a blocked source.
func (m *mock) keepsOff(p *probe.Probe) engine.Action {
	for _, response := range [...]engine.Action{engine.Block, engine.Fence, engine.Dark} {
		for _, bits := range m.lengths {
			source, err := p.Source.Prefix(bits)
			if err != nil {
				continue // longer than an IPv4 address
			}
			e := m.by[ref{response, source}]
			if e == nil || p.At >= e.until {
				continue
			}
			if e.row != nil {
				e.row.Drops++
			}
			m.kept++
			return response
		}
	}
	return engine.None
}

// wants counts a probe that comes to a port that nobody serves.
func (m *mock) wants(r engine.Reason) {
	switch r {
	case engine.Backscatter, engine.LateAnswer, engine.Traceroute, engine.Discovery: // ordinary life
	default:
		m.unwanted++
	}
}

// note books a response that was ordered at a probe.
func (m *mock) note(p *probe.Probe, d *engine.Decision, ev *event.Event) {
	if d.Instead.IsValid() {
		delete(m.by, ref{d.Action, d.Instead})
	}
	if len(m.by) >= maxMock && len(m.by)%1024 == 0 {
		m.expire(p.At)
	}
	e := &mockEntry{until: p.At + int64(d.For)}
	if len(m.by) < maxMock {
		at := time.Unix(0, p.At)
		e.row = &control.Block{
			Source: d.Source, Name: ev.Source, Since: at, Expires: at.Add(d.For), Response: d.Action.String(), Reason: ev.Reason,
			Evidence: ev.Evidence, Pattern: ev.Pattern, Technique: ev.Technique, Proven: ev.Proven, Known: ev.Known, Country: ev.Country,
		}
	}
	m.by[ref{d.Action, d.Source}] = e
	if len(m.sources) < maxMock {
		m.sources[d.Source] = struct{}{}
	}
	if bits := d.Source.Bits(); !slices.Contains(m.lengths, bits) {
		m.lengths = append(m.lengths, bits)
		slices.SortFunc(m.lengths, func(a, b int) int { return b - a })
	}
}

func (m *mock) expire(at int64) {
	for r, e := range m.by {
		if at >= e.until {
			delete(m.by, r)
		}
	}
}

// sum says how the trial goes, without its rows.
func (m *mock) sum() *control.Trial {
	return &control.Trial{Since: m.since, Sources: len(m.sources), Unwanted: m.unwanted, Kept: m.kept}
}

// rows are the responses that would be in force.
func (m *mock) rows(now time.Time) []control.Block {
	m.expire(now.UnixNano())
	list := make([]control.Block, 0, len(m.by))
	for _, e := range m.by {
		if e.row != nil {
			row := *e.row
			row.Remaining = control.SecondsLeft(row.Expires, now)
			list = append(list, row)
		}
	}
	slices.SortFunc(list, func(a, b control.Block) int { return a.Since.Compare(b.Since) })
	return list
}

// news returns the event of what has come since the last one.
func (m *mock) news(now time.Time) (ev event.Event, ok bool) {
	unwanted, kept := m.unwanted-m.told.Unwanted, m.kept-m.told.Kept
	if unwanted == 0 {
		return ev, false
	}
	m.told = *m.sum()
	return event.Event{
		Event: "trial", Time: now, Action: engine.None.String(), Probes: uint32(min(unwanted, 1<<32-1)), Drops: kept,
		Reason: fmt.Sprintf("%d of %d unwanted probes would have been kept off, %s in this trial", kept, unwanted, m.sum().Share()),
		Config: "dry_run = true",
	}, true
}

// trialEvery is how often a trial says in the journal how it goes.
const trialEvery = time.Hour

// watchTrial has the journal know how a trial goes, for "picket report".
func (d *daemon) watchTrial(ctx context.Context) error {
	tick := time.NewTicker(trialEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			d.tellTrial(ctx)
		}
	}
}

// tellTrial does that now.
func (d *daemon) tellTrial(ctx context.Context) {
	if ev, ok, err := d.docket.trialNews(ctx, time.Now()); err == nil && ok {
		d.journal.Event(ev)
	}
}

// trial answers with how the trial goes, and the responses that would be in force.
func (d *daemon) trial(ctx context.Context) (*control.Trial, error) {
	t, err := d.docket.trial(ctx, time.Now(), true)
	if err == nil && t == nil {
		err = errNoTrial
	}
	return t, err
}
