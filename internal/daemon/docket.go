// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"sync"
	"time"

	"picket/engine"
	"picket/internal/config"
	"picket/internal/control"
	"picket/internal/event"
	"picket/internal/evidence"
	"picket/internal/explain"
	"picket/internal/inline"
	"picket/internal/ledger"
	"picket/internal/probe"
	"picket/internal/show"
	"picket/internal/task"
	"picket/internal/transit"
)

// A mirrored is a probe on its way from the reader to the judge.
type mirrored struct {
	probe probe.Probe
	bytes transit.Place
}

// transitSlots is enough for the channel, two batches of the judge, and the slot that is being
// written: the judge is done with a slot before it is used again.
const transitSlots = probeQueue + 2*len(judge{}.waiting)

// none is the answer of requests without one.
type none = struct{}

// A docket is the judge's door: its methods are the only way to reach the goroutine that owns
// the engine. Any goroutine may use it.
type docket struct {
	probes  chan mirrored
	visits  chan visit // wait for their verdict
	asked   chan func(*judge)
	ended   chan struct{} // closed when the judge has ended
	sender  sync.Mutex    // one probe at a time: transit has no lock
	transit transit.Transit

	mu   sync.Mutex
	lost []ledger.Ref  // responses that are not in force
	word chan struct{} // lost is not empty
}

// probeQueue is how many probes may wait for the engine: some 10 ms of the most that
// the rules let through. The kernel's buffer behind it holds 30 times that.
const probeQueue = 8192

func newDocket() *docket {
	return &docket{
		probes: make(chan mirrored, probeQueue), asked: make(chan func(*judge), 64),
		visits: make(chan visit, inline.Length),
		ended:  make(chan struct{}), word: make(chan struct{}, 1),
	}
}

// probe queues a probe and the bytes of its packet. When the judge is slow, the reader
// waits here and the kernel's buffer fills: losses show in the sequence numbers, and
// nothing that was stored during a restart is lost.
func (d *docket) probe(p probe.Probe, raw []byte) {
	d.sender.Lock()
	defer d.sender.Unlock()
	m := mirrored{p, d.transit.Put(raw)}
	select { // mostly there is room, and to ask for two takes longer
	case d.probes <- m:
	default:
		select {
		case d.probes <- m:
		case <-d.ended:
			return
		}
	}
	d.transit.Sent()
}

// visit queues a SYN to a service and the bytes of its packet, and reports whether
// there was room. It never waits.
func (d *docket) visit(h inline.Held, raw []byte) bool {
	v := visit{Held: h}
	v.size = copy(v.raw[:], raw)
	select {
	case d.visits <- v:
		return true
	default:
		return false
	}
}

// unblocked makes the judge forget responses before it judges another probe. It never waits,
// and is never lost.
func (d *docket) unblocked(ended ...ledger.Ref) {
	if len(ended) == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lost = append(d.lost, ended...)
	select {
	case d.word <- struct{}{}:
	default: // the judge takes these with the earlier ones
	}
}

// takeLost returns the responses to forget, once.
func (d *docket) takeLost() (lost []ledger.Ref) {
	d.mu.Lock()
	defer d.mu.Unlock()
	lost, d.lost = d.lost, nil
	return lost
}

// alive makes the judge call say, unless its queue is full.
func (d *docket) alive(say func(engine.Stats)) {
	select {
	case d.asked <- func(j *judge) { say(j.engine.Stats()) }:
	default:
	}
}

func (d *docket) put(ctx context.Context, f func(*judge)) bool {
	select {
	case d.asked <- f:
		return true
	case <-ctx.Done():
		return false
	}
}

// do makes the judge call f.
func (d *docket) do(ctx context.Context, f func(*judge)) error {
	_, err := task.Ask(ctx, d.put, func(j *judge) (none, error) { f(j); return none{}, nil })
	return err
}

// observe has a trapped connection judged, with the peer's data.
func (d *docket) observe(ctx context.Context, p probe.Probe, data []byte) error {
	return d.do(ctx, func(j *judge) { j.observe(p, data, show.Quote(data)) })
}

// drain has everything judged that waits.
func (d *docket) drain(ctx context.Context) error { return d.do(ctx, (*judge).ahead) }

// A tally is the judge's counters.
type tally struct {
	engine.Stats
	lists    map[string]uint64
	evidence evidence.Stats
	flooding bool
}

func (d *docket) tally(ctx context.Context) (tally, error) {
	return task.Ask(ctx, d.put, func(j *judge) (tally, error) {
		return tally{j.engine.Stats(), j.engine.Lists(), j.evidence.Stats(),
			j.engine.Flooding(time.Now())}, nil
	})
}

// recent returns the n latest sources.
func (d *docket) recent(ctx context.Context, n int) ([]engine.Source, error) {
	return task.Ask(ctx, d.put, func(j *judge) ([]engine.Source, error) { return j.engine.Recent(n), nil })
}

// setConnected sets who is connected.
func (d *docket) setConnected(ctx context.Context, peers engine.Prefixes) error {
	return d.do(ctx, func(j *judge) { j.engine.SetConnected(peers) })
}

// reconfigure puts a configuration into force.
func (d *docket) reconfigure(ctx context.Context, c *config.Config, rules engine.Config) error {
	_, err := task.Ask(ctx, d.put, func(j *judge) (none, error) { return none{}, j.reconfigure(c, rules) })
	return err
}

// restore has the engine know responses that it did not order.
func (d *docket) restore(ctx context.Context, list ...inForce) error {
	return d.do(ctx, func(j *judge) { j.restore(list...) })
}

// probed returns how many probes were judged so far.
func (d *docket) probed(ctx context.Context) (uint64, error) {
	return task.Ask(ctx, d.put, func(j *judge) (uint64, error) { return j.engine.Stats().Probes, nil })
}

// recall gives the engine a part of an earlier run's memory.
func (d *docket) recall(ctx context.Context, part []byte) error {
	_, err := task.Ask(ctx, d.put, func(j *judge) (none, error) { return none{}, j.engine.Recall(part) })
	return err
}

// memory returns the engine's memory, for nextPart.
func (d *docket) memory(ctx context.Context) (engine.Memory, error) {
	return task.Ask(ctx, d.put, func(j *judge) (engine.Memory, error) { return j.engine.Memory(), nil })
}

// nextPart appends the next part of the engine's memory.
func (d *docket) nextPart(
	ctx context.Context, m *engine.Memory, to []byte,
) (part []byte, more bool, err error) {
	type next struct {
		part []byte
		more bool
	}
	n, err := task.Ask(ctx, d.put, func(*judge) (n next, _ error) { // may write when nobody waits any more
		n.part, n.more = m.Next(to)
		return n, nil
	})
	return n.part, n.more, err
}

// facts adds to f what engine and evidence know of the source.
func (d *docket) facts(ctx context.Context, f *explain.Facts) error {
	return d.do(ctx, func(j *judge) { j.facts(f) })
}

// trial returns the figures of a dry run, or nil.
func (d *docket) trial(ctx context.Context, now time.Time, rows bool) (*control.Trial, error) {
	return task.Ask(ctx, d.put, func(j *judge) (*control.Trial, error) {
		if j.mock == nil {
			return nil, nil
		}
		t := j.mock.Sum()
		if rows {
			t.Blocks = j.mock.Rows(now)
		}
		return t, nil
	})
}

// trialNews returns an event with the news of a dry run. Ok is false without news.
func (d *docket) trialNews(ctx context.Context, now time.Time) (ev event.Event, ok bool, err error) {
	ev, err = task.Ask(ctx, d.put, func(j *judge) (event.Event, error) {
		if j.mock == nil {
			return event.Event{}, nil
		}
		ev, _ := j.mock.News(now)
		return ev, nil
	})
	return ev, ev.Event != "", err
}
