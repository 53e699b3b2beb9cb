// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"net"
	"time"

	"picket/engine"
	"picket/internal/beside"
	"picket/internal/config"
	"picket/internal/describe"
	"picket/internal/event"
	"picket/internal/evidence"
	"picket/internal/journal"
	"picket/internal/ledger"
	"picket/internal/probe"
	"picket/internal/rehearsal"
	"picket/internal/transit"
	"picket/nft"
)

// A judge owns the engine. One goroutine feeds it probes and hands its decisions to the blocker
// and the journal. It waits for neither.
type judge struct {
	docket   *docket
	engine   *engine.Engine
	config   *config.Config
	orders   *orders
	actions  *beside.Set
	journal  *journal.Writer
	names    map[uint32]string
	evidence *evidence.Store
	mock     *rehearsal.Rehearsal // nil unless this is a dry run
	waiting  [32]probe.Probe      // see batch
	bytes    [32]transit.Place
	later    []visit     // visits that wait for probes mirrored before them
	again    *time.Timer // rings when these are looked at again
	behind   func() bool // reports whether such probes are unread
}

// newJudge returns the judge behind the door d.
func newJudge(c *config.Config, e *engine.Engine, d *docket, o *orders, j *journal.Writer) *judge {
	out := &judge{
		docket: d, engine: e, config: c, orders: o, journal: j,
		evidence: new(evidence.Store), names: map[uint32]string{},
		again: time.NewTimer(time.Hour), behind: func() bool { return false },
	}
	if c.DryRun {
		out.mock = rehearsal.New(time.Now())
	}
	if c.Evidence.Memory > 0 {
		snap := int(c.NFLOG.Snaplen)
		out.evidence = evidence.New(int(c.Evidence.Memory), snap)
		d.transit = transit.New(transitSlots, snap)
	}
	return out
}

// run works until ctx ends.
func (j *judge) run(ctx context.Context) error {
	defer close(j.docket.ended)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-j.docket.word:
			j.forget()
		case m := <-j.docket.probes:
			j.heed()
			j.batch(m)
		case v := <-j.docket.visits:
			j.later = append(j.later, v)
			j.admit()
		case <-j.again.C:
			j.admit()
		case f := <-j.docket.asked:
			j.heed() // f may judge a connection to the trap
			f(j)
		}
	}
}

// heed is forget, if there is something to forget.
func (j *judge) heed() {
	if len(j.docket.word) > 0 {
		j.forget()
	}
}

// forget has the engine forget responses that are not in force.
func (j *judge) forget() {
	for _, r := range j.docket.takeLost() {
		j.engine.End(r.Response, r.Source)
	}
}

// An inForce is a response that the engine did not order.
type inForce struct {
	ledger.Ref
	since, until time.Time
}

func (j *judge) restore(list ...inForce) {
	for _, b := range list {
		j.engine.Restore(b.Response, b.Source, b.since, b.until)
	}
}

func (j *judge) reconfigure(c *config.Config, rules engine.Config) error {
	if err := j.engine.Reconfigure(rules); err != nil {
		return err
	}
	j.config = c
	switch {
	case c.DryRun && j.mock == nil:
		j.mock = rehearsal.New(time.Now())
	case !c.DryRun && j.mock != nil:
		for response, source := range j.mock.Ordered() {
			j.engine.End(response, source) // the kernel has none
		}
		j.mock = nil
	}
	return nil
}

// batch judges m and the probes behind it, as many at once as the engine expects.
func (j *judge) batch(m mirrored) {
	batch, bytes := append(j.waiting[:0], m.probe), append(j.bytes[:0], m.bytes)
	for range min(len(j.docket.probes), cap(batch)-1) { // nobody else takes any
		m := <-j.docket.probes
		batch, bytes = append(batch, m.probe), append(bytes, m.bytes)
	}
	if len(batch) > 1 {
		j.engine.Expect(batch)
		j.evidence.Expect(batch, j.engine.SourceOf)
	}
	for i, p := range batch {
		j.observe(p, j.docket.transit.Get(bytes[i]), "")
	}
}

// observe judges one probe. Raw is the bytes of its packet, or the bytes that a trapped peer
// sent; data is the latter in quotes.
func (j *judge) observe(p probe.Probe, raw []byte, data string) {
	if j.mock.Blocks(&p) {
		return
	}
	d := j.engine.Observe(p)
	seen := d
	if j.mock != nil {
		if j.mock.Wants(d.Reason); d.Action.Drops() {
			seen.Action = engine.Log // a dry run makes no response
		}
	}
	if p.Sent != probe.SentNotYet || d.Action != engine.None { // else more is to come
		j.evidence.Add(j.engine.SourceOf(p.Source), &p, &seen, raw)
	}
	if d.Release {
		j.orders.release(p.Source)
	}
	if d.Reason == engine.AlreadyReacted {
		if j.config.Section(p.Protocol).Action == engine.Run && j.actions.Every() {
			j.actions.Again(j.event(&p, &d))
		}
	}
	if d.Action == engine.None && !d.Tell {
		return
	}
	ev := j.event(&p, &d)
	ev.Data = data
	answered := d.Action.Drops() && j.mock == nil
	if answered {
		j.respond(&p, &d, ev, nil)
	} else if d.Action.Drops() {
		j.mock.Note(&p, &d, &ev)
	}
	if d.NewPattern {
		j.journal.Event(describe.Pattern(&p, ev, &d))
	}
	switch {
	case answered: // the blocker writes the event
	case d.Action != engine.None:
		j.actions.Decided(ev)
		if d.Tell {
			j.journal.Event(ev)
		}
	case !d.NewPattern:
		j.journal.Event(ev)
	}
}

// respond hands a response to the blocker, with the visit that waits for it, if any. A fence
// and the kernel's own holds together last at most ten minutes of an hour.
func (j *judge) respond(p *probe.Probe, d *engine.Decision, ev event.Event, held *visit) {
	if d.Instead.IsValid() {
		j.orders.makeRoom(ledger.Ref{Response: d.Action, Source: d.Instead}, d.Source)
	}
	w := &blockWork{
		Ref: ledger.Ref{Response: d.Action, Source: d.Source}, address: p.Source, length: d.For, event: ev,
		seen: time.Unix(0, p.At), renew: d.Reason == engine.LostBlock,
		visit: held,
	}
	if d.Action == engine.Fence {
		w.length -= 2 * nft.HoldsTime
		w.event.For = event.Seconds(w.length)
	}
	if !j.orders.block(w) {
		j.engine.End(d.Action, d.Source)
		j.journal.Notice("", "could not %s %s: %d blocks wait for the kernel already",
			w.Verb(), d.Source, queueLength)
	}
}

// event describes a probe and its decision.
func (j *judge) event(p *probe.Probe, d *engine.Decision) event.Event {
	ev := describe.Event(j.config, j.engine, p, d)
	ev.Interface = j.interfaceName(p.Interface)
	return ev
}

// interfaceName returns the name of an interface. It asks the kernel once for each.
func (j *judge) interfaceName(index uint32) string {
	if index == 0 {
		return ""
	}
	name, ok := j.names[index]
	if !ok {
		if len(j.names) > 1024 {
			clear(j.names) // interfaces come and go
		}
		// An interface that has gone has no name any more.
		if i, err := net.InterfaceByIndex(int(index)); err == nil {
			name = i.Name
		}
		j.names[index] = name
	}
	return name
}
