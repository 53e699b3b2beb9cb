// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"net"
	"net/netip"
	"time"

	"picket/engine"
	"picket/internal/config"
	"picket/internal/describe"
	"picket/internal/event"
	"picket/internal/evidence"
	"picket/internal/journal"
)

// A judge owns the engine: one goroutine feeds it probes and carries its
// decisions to the blocker and the journal, neither of which it waits for.
type judge struct {
	engine   *engine.Engine
	config   *config.Config
	blocker  *blocker
	actions  *actions
	journal  *journal.Writer
	probes   chan mirrored
	calls    chan func()
	ended    chan struct{} // closed when run has ended
	names    map[uint32]string
	evidence *evidence.Store
	transit  transit
	waiting  [32]engine.Probe // see batch
	bytes    [32]packetBytes
}

// probeQueue is how many probes may wait for the engine, some 10 ms of the
// most that the rules let through. Behind it the kernel's buffer holds 30 times that.
const probeQueue = 8192

func newJudge(c *config.Config, e *engine.Engine, j *journal.Writer) *judge {
	return &judge{
		engine: e, config: c, journal: j,
		evidence: new(evidence.Store), // it keeps nothing
		probes:   make(chan mirrored, probeQueue), calls: make(chan func(), 64), ended: make(chan struct{}), names: map[uint32]string{},
	}
}

// probe queues a probe and the bytes of its packet; it is for the goroutine that
// reads. If the judge does not keep up, the reader waits here and the kernel's
// buffer fills: what it loses then shows in the sequence numbers, and what was
// stored for us during a restart is all read.
func (j *judge) probe(p engine.Probe, raw []byte) {
	select {
	case j.probes <- mirrored{p, j.transit.put(raw)}:
		j.transit.sent()
	case <-j.ended:
	}
}

// call has f run by the owner and waits for it.
func (j *judge) call(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case j.calls <- func() { f(); close(done) }:
	case <-ctx.Done():
		return errStopping
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return errStopping
	}
}

// lost tells the engine that a source is not blocked after all. It is for the
// blocker, and drops the word rather than wait: the engine finds out by itself
// when the source's next probe arrives.
func (j *judge) lost(p netip.Prefix) {
	select {
	case j.calls <- func() { j.engine.Unblock(p) }:
	default:
	}
}

// run works until ctx ends.
func (j *judge) run(ctx context.Context) {
	defer close(j.ended)
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-j.probes:
			j.batch(m)
		case f := <-j.calls:
			f()
		}
	}
}

// batch judges m and what has queued up behind it, so much of it at once as
// the engine likes to expect.
func (j *judge) batch(m mirrored) {
	batch, bytes := append(j.waiting[:0], m.probe), append(j.bytes[:0], m.bytes)
	for len(batch) < cap(batch) {
		select {
		case m := <-j.probes:
			batch, bytes = append(batch, m.probe), append(bytes, m.bytes)
			continue
		default:
		}
		break
	}
	if len(batch) > 1 {
		j.engine.Expect(batch)
	}
	for i, p := range batch {
		j.observe(p, j.transit.get(bytes[i]), "")
	}
}

// drain judges what is queued. It is for the owner.
func (j *judge) drain() {
	for {
		select {
		case m := <-j.probes:
			j.observe(m.probe, j.transit.get(m.bytes), "")
		default:
			return
		}
	}
}

// observe judges one probe. Raw is the bytes of its packet, or what a trapped
// peer sent, which data is in quotes.
func (j *judge) observe(p engine.Probe, raw []byte, data string) {
	d := j.engine.Observe(p)
	j.evidence.Add(j.engine.SourceOf(p.Source), &p, &d, raw)
	if d.Release {
		j.blocker.release(p.Source)
	}
	if d.Reason == engine.AlreadyReacted {
		if _, s := describe.Section(j.config, p.Protocol); j.actions.every(s) {
			j.actions.again(j.event(&p, &d))
		}
	}
	if d.Action == engine.None && !d.Tell {
		return
	}
	ev := j.event(&p, &d)
	ev.Data = data
	if d.Action == engine.Block {
		j.block(&p, &d, ev)
	}
	if d.NewPattern {
		j.journal.Event(describe.Pattern(ev, &d))
	}
	switch {
	case d.Action == engine.Block: // told when it is done
	case d.Action != engine.None:
		j.actions.acted(ev)
		if d.Tell {
			j.journal.Event(ev)
		}
	case !d.NewPattern:
		j.journal.Event(ev)
	}
}

// block hands a source over to be blocked.
func (j *judge) block(p *engine.Probe, d *engine.Decision, ev event.Event) {
	w := &blockWork{source: d.Source, address: p.Source, length: d.For, event: ev, seen: time.Unix(0, p.At), renew: d.Reason == engine.LostBlock}
	if !j.blocker.block(w) {
		j.engine.Unblock(d.Source)
		j.journal.Notice("", "could not block %s: %d blocks wait for the kernel already", d.Source, queueLength)
	}
}

// event describes a probe and what was decided about it.
func (j *judge) event(p *engine.Probe, d *engine.Decision) event.Event {
	ev := describe.Event(j.config, j.engine, p, d)
	ev.Interface = j.interfaceName(p.Interface)
	return ev
}

// interfaceName returns the name behind an index, asking the kernel once.
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
