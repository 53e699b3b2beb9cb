// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"picket/engine"
	"picket/internal/config"
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
		if _, s := section(j.config, p.Protocol); j.actions.every(s) {
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
		j.journal.Event(patternOf(ev, &d))
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

// patternOf makes of the event of a probe that of the pattern it completed.
func patternOf(ev event.Event, d *engine.Decision) event.Event {
	ev.Event, ev.Action, ev.For, ev.Reason, ev.Evidence = "pattern", engine.None.String(), 0, ev.Evidence, ""
	if d.Pattern.Shared() {
		ev = event.Event{Event: ev.Event, Time: ev.Time, Pattern: ev.Pattern, Tool: ev.Tool, Action: ev.Action, Reason: ev.Reason, Config: ev.Config}
	}
	return ev
}

// section returns the section that a protocol is configured in, and its name.
func section(c *config.Config, protocol uint8) (name string, s *config.Protocol) {
	switch protocol {
	case engine.ProtocolTCP, engine.ProtocolSCTP:
		return "tcp", &c.TCP
	case engine.ProtocolUDP:
		return "udp", &c.UDP
	}
	return "ip", &c.IP
}

// event describes a probe and what was decided about it.
func (j *judge) event(p *engine.Probe, d *engine.Decision) event.Event {
	ev := event.Event{
		Event: "probe", Time: time.Unix(0, p.At), Source: p.Source.String(), Destination: p.Destination,
		Protocol: engine.ProtocolName(p.Protocol), Port: p.Port, SourcePort: p.SourcePort,
		Mode: p.Mode.String(), Technique: p.Technique.String(), Interface: j.interfaceName(p.Interface),
		Pattern: d.Pattern.String(), Tool: d.Tool.String(), Proven: d.Proven, Probes: d.Probes,
		Action: d.Action.String(), For: event.Seconds(d.For), Reason: d.Reason.String(), Evidence: d.Evidence(), Config: j.setting(p, d),
	}
	if p.Protocol == engine.ProtocolTCP {
		ev.Flags = engine.FlagNames(p.Flags)
	}
	switch {
	case d.Action == engine.Block:
		ev.Event, ev.Source = "block", event.SourceName(d.Source)
	case d.Reason == engine.IsProtected, d.Reason == engine.IsConnected:
		ev.Event = "ignore"
	}
	ev.Known = d.Known
	j.config.Locate(&ev, p.Source)
	if s, ok := j.engine.Describe(p.Source); ok {
		ev.Ports, ev.First, ev.Last = s.List, s.First, s.Last
		ev.PortsSeen, ev.TargetsSeen = s.Ports, uint32(s.Targets)
	}
	return ev
}

// setting names what in the configuration made the decision.
func (j *judge) setting(p *engine.Probe, d *engine.Decision) string {
	c := j.config
	name, _ := section(c, p.Protocol)
	s := fmt.Sprintf("%s.trigger.%s = %d", name, p.Mode, d.Trigger)
	switch {
	case d.Reason == engine.AboveSweep:
		s = fmt.Sprintf("detect.sweep = %d", c.Detect.Sweep)
	case d.Reason == engine.AboveSlow:
		s = fmt.Sprintf("detect.slow = %d, detect.slow_window = %q", c.Detect.Slow, c.Detect.SlowWindow)
	case d.Reason == engine.PartOfScan:
		s = fmt.Sprintf("detect.distributed = %q", c.Detect.Shared)
	case d.Reason == engine.IsDecoy:
		s = fmt.Sprintf("detect.decoys = %q", c.Detect.Decoys)
	case d.Reason == engine.InFlood, d.Pattern == engine.Flood:
		s = fmt.Sprintf("detect.flood = %d", c.Detect.Flood)
	case d.Reason == engine.TooMany:
		s = fmt.Sprintf("block.unproven_rate = %d", c.Block.UnprovenRate)
	case d.Reason == engine.IsConnected:
		s = fmt.Sprintf("ignore.connected = %v", c.Ignore.Connected)
	case d.Reason == engine.Full:
		s = fmt.Sprintf("block.max = %d", c.Block.Max)
	case d.Reason == engine.Backscatter, d.Reason == engine.LateAnswer, d.Reason == engine.Handshake:
		return "" // nothing that could be set makes more of them
	case d.Lowered:
		s = fmt.Sprintf("detect.tool_trigger = %d", d.Trigger)
	}
	for _, k := range c.Known {
		if k.Name == d.Known && (d.Reason == engine.KnownFirst || d.Reason == engine.KnownIgnored || d.Action == engine.Log) {
			s = fmt.Sprintf("known.%s.policy = %q", k.Name, k.Policy)
		}
	}
	if c.DryRun {
		s += ", dry_run = true"
	}
	return s
}

// interfaceName returns the name behind an index, asking the kernel once; none
// if j keeps no names, since the index may be another machine's.
func (j *judge) interfaceName(index uint32) string {
	if index == 0 || j.names == nil {
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
