// SPDX-License-Identifier: MIT

package engine

import (
	"math/bits"
	"time"

	"picket/engine/internal/book"
	"picket/engine/internal/crowd"
	"picket/internal/probe"
)

// An Engine judges probes by what it knows of their sources. Make one with [New]. It is
// not safe for concurrent use.
type Engine struct {
	cfg       Config
	unit      uint8 // log2 of the nanoseconds of a unit, see stampOf
	window    int   // cfg.Window in units
	half      int64 // half of cfg.SlowWindow
	connected Prefixes

	clock       clock
	sources     *table
	traces      *traces
	blocks      blocks
	decoys      crowd.Decoys
	distributed crowd.Clusters
	answers     crowd.Answers
	links       links
	newcomers   crowd.Surge   // sources never seen before
	scatter     crowd.Surge   // answers to what we never sent
	victims     crowd.Victims // and whose they are
	tell        book.Pace     // events that are not reactions
	tellPattern book.Pace     // and of these the names of patterns
	unproven    book.Rates    // blocks of unproven sources
	fences      book.Rates    // and fences
	darks       book.Pace     // sources that went dark
	darkNets    book.Pace     // and networks
	networks    book.Networks
	ordinary    ordinary
	stats       Stats
	known       map[string]uint64 // probes of each list of cfg.Known
	ahead       [expectMost]probe.Key
}

// Stats counts what an engine did since it was made.
type Stats struct {
	Probes  uint64          // calls of Observe
	Reasons [Reasons]uint64 // probes by the reason of their decision
	Sources int             // known now
	Evicted uint64          // forgotten to make room
	Traces  int             // of forgotten sources, for slow scans
	Blocks  int             // in force by the engine's books
	Fences  int             // likewise
	Untold  uint64          // events left out to spare the journal
	Doubts  uint64          // calls of Doubt
}

// New returns an engine for a configuration. The seed hides from senders where their
// sources lie in the table; no decision depends on it until a source is forgotten to make
// room. The error names the first setting out of bounds.
func New(cfg Config, seed uint64) (*Engine, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	e := &Engine{sources: newTable(cfg.Sources, seed), traces: newTraces(cfg.Sources, seed)}
	e.blocks.init(seed)
	e.networks, e.ordinary = book.NewNetworks(seed), ordinary{seed: seed}
	e.configure(cfg)
	return e, nil
}

// Reconfigure changes the configuration, but for Config.Sources. Sources and blocks stay
// known. An error changes nothing.
func (e *Engine) Reconfigure(cfg Config) error {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	e.configure(cfg)
	return nil
}

func (e *Engine) configure(cfg Config) {
	unit := uint8(bits.Len64(uint64(cfg.Window/64 - 1))) // 32 to 64 units a window
	half := int64(cfg.SlowWindow / 2)
	if changed := e.unit != unit; e.unit != 0 && (changed || e.half != half) {
		for s := range e.sources.all() {
			if changed {
				s.rest() // its stamps are in the old units
			}
			s.half = uint8(s.last / half)
		}
	}
	e.links = links{} // its stamps are in the old units
	e.cfg, e.unit, e.half = cfg, unit, half
	e.window = int(cfg.Window >> unit)
}

// SetConnected names the peers of this host's living connections. They are not blocked on
// unproven evidence.
func (e *Engine) SetConnected(peers Prefixes) { e.connected = peers }

// Expect prepares for Observe of the first 32 probes: it fetches the records of their
// sources from memory all at once instead of one by one. It changes only how long Observe
// takes.
func (e *Engine) Expect(probes []probe.Probe) {
	n := min(len(probes), expectMost)
	for i := range n {
		e.ahead[i] = e.keyOf(probes[i].Source)
	}
	e.sources.expect(e.ahead[:n])
}

// keeps reports whether a response holds the source after the decision.
func (d *Decision) keeps() bool {
	return d.Action >= Fence || d.Reason == AlreadyBlocked || d.Reason == AlreadyFenced
}

// unmade reports whether a fence is due and has no room. Then the hold is all there is,
// and ends by itself.
func (e *Engine) unmade(d *Decision) bool {
	return e.cfg.Style == Graded && !d.Proven && (d.Reason == TooMany || d.Reason == Full)
}

// Observe adds a probe to what is known of its source and returns what to do.
//
// Time is p.At alone. A probe up to a minute older than the newest counts as simultaneous
// with it; if the time steps back further, the engine's goes on from where it was. A
// protected source is never blocked. Observe never fails, never blocks and allocates only
// for a reaction.
func (e *Engine) Observe(p probe.Probe) (d Decision) {
	e.stats.Probes++
	if !e.clock.advance(p.At) {
		e.reset(p.At)
	}
	pol := e.cfg.policy(p.Protocol)
	d.Behind = p.Behind
	e.judge(&p, pol, &d)
	e.stats.Reasons[d.Reason]++
	// The kernel held the source if this was a hot port; hold rules look at ports, so other
	// protocols are not held. It also held who passed a trigger; style BlockOnly, without
	// a fence, spares a connected peer.
	held := pol.hot(p.Mode) && class(p.Protocol) != 3 ||
		p.Held && e.cfg.Style == BlockOnly && e.connected.Contains(p.Source)
	d.Release = held && !p.Behind && !d.keeps() && !e.unmade(&d)
	return d
}

// reset forgets everything that bears a time: the clock's range is used up.
func (e *Engine) reset(at int64) {
	e.sources.clear()
	e.traces.clear()
	e.blocks.init(e.sources.seed)
	e.decoys, e.distributed, e.answers, e.links, e.victims = crowd.Decoys{}, crowd.Clusters{},
		crowd.Answers{}, links{}, crowd.Victims{}
	e.newcomers, e.scatter, e.tell, e.tellPattern, e.unproven, e.fences = crowd.Surge{}, crowd.Surge{},
		book.Pace{}, book.Pace{}, book.Rates{}, book.Rates{}
	e.darks, e.darkNets = book.Pace{}, book.Pace{}
	e.networks, e.ordinary = book.NewNetworks(e.sources.seed), ordinary{seed: e.sources.seed}
	e.clock = clock{}
	e.clock.advance(at)
}

// hot reports whether the kernel holds a source that probes a port of mode m: never in
// classic mode, whose trap must complete the handshake.
func (p *Policy) hot(m probe.Mode) bool {
	return p.Action == Block && p.Trigger[m] == 0 && m != probe.Classic
}

func (e *Engine) judge(p *probe.Probe, pol *Policy, d *Decision) {
	now := e.clock.now
	if p.Technique.Backscatter() {
		e.scattered(p.Source, now, d)
		return
	}
	known := e.cfg.known(p.Source)
	if known != nil && e.listed(known, d) {
		return
	}
	source, target := probe.Words(p.Source), probe.Words(p.Destination)
	k := e.keyIn(p.Source, source)
	above, ordinary := e.alone(p, k, source, target)
	if d.Reason = ordinary; ordinary != 0 {
		return
	}
	s, since, again := e.recall(p, k, now, d)
	if since > retransmitted {
		s.recent = [3]uint32{}
	}
	flow := flowOf(p, target, e.sources.seed)
	if !p.Unread && s.repeated(fingerprint(flow, source)) && above == 0 {
		if s.again++; s.again == 0 {
			s.again--
		}
		d.Reason, d.Probes = Retransmission, s.probes
		return
	}
	d.Reason, d.Probes, d.Trigger = BelowTrigger, s.probes+1, pol.trigger(p)
	// a connection just accepted comes again as another probe
	if d.Probes > s.probes && p.Sent != probe.SentNotYet {
		s.probes = d.Probes
	}
	if e.cfg.Trap && p.Mode == probe.Classic && p.Technique == probe.SYN && above == 0 {
		d.Reason = Handshake
		return
	}
	now8 := stampOf(now >> e.unit)
	slot, fresh := e.note(p, s, now8, d)
	proof := d.Proven && e.proves(p, pol, s, d)
	if d.Proven && e.cfg.Style == Graded && !proof {
		d.Trigger = max(d.Trigger, pol.Trigger[probe.Advanced]) // the other ports are not the trap's
	}
	if d.Lowered = s.certain() && e.cfg.ToolTrigger < d.Trigger; d.Lowered {
		d.Trigger = e.cfg.ToolTrigger
	}
	e.compare(p, flow, s, slot, now, d)
	e.count(p, s, target, d)
	if source.Hi != 0 {
		d.Neighbours = e.neighbours(p, source, now8)
	}
	g := glance{fresh, again, d.Targets, since}
	if e.scored() {
		e.weigh(p, s, source, target, g, d)
	}
	if fresh {
		s.setSourcePort(p.SourcePort)
	}
	e.name(p, s, slot, g, now8, d)
	if above == OverBudget && d.Inside < manyRepeats && !e.telling(s, suspectAt) {
		above = 0
	}
	switch d.Reason = e.exceeded(s, d, fresh); {
	case proof:
		d.Reason = AboveTrigger
	case !d.Reason.above() && above != 0:
		d.Reason = above
	}
	action := known.byList(pol.Action, d)
	if d.Reason.above() {
		d.Proven = d.Proven && (d.Reason == KnownFirst || proof)
		d.Pattern = e.nameReaction(s, d)
		e.react(p, k, s, action, d)
	}
	if e.scored() && action == Block && !p.Behind { // the dark is about ports of this host alone
		e.darken(p, s, d)
	}
	e.told(s, d)
}

// alone judges a probe without its source's past: above is the limit that the source is
// above, ordinary the reason to let the probe be. Both are 0 for most.
func (e *Engine) alone(p *probe.Probe, k, source, target probe.Key) (above, ordinary Reason) {
	// The rules count every port of a class; a record holds the last few of all classes.
	// In style BlockOnly a decoy is not blocked for that.
	if p.Over || p.Held && e.cfg.Style == Graded {
		return OverBudget, 0
	}
	ordinary = e.letBe(p, source, target)
	if ordinary != LateAnswer {
		return 0, ordinary
	}
	switch e.answers.See(k, p, e.clock.now, e.cfg.Window, e.sources.seed) {
	case crowd.Excused:
		return 0, LateAnswer
	case crowd.TooMany:
		return AboveAnswers, 0
	}
	return 0, 0
}

// note books the port of a probe and what else it says of its source. A port that cannot
// be read counts as a new one each time: its sender may hide many.
func (e *Engine) note(p *probe.Probe, s *source, now8 uint8, d *Decision) (slot int, fresh bool) {
	if p.Unread {
		slot, fresh = s.noteIn(-1, 0, class(p.Protocol), now8)
	} else if slot, fresh = s.note(p.Port, class(p.Protocol), now8); fresh {
		s.recognise(p)
	}
	d.Tool = s.tool
	if d.Proven = p.Technique == probe.Connect && p.Sent.Proves(); d.Proven {
		s.flags |= proven
		s.stamp[slot] = now8 | shown
	}
	return slot, fresh
}

// count fills in how many ports and addresses of the source count.
func (e *Engine) count(p *probe.Probe, s *source, target probe.Key, d *Decision) {
	all, own := s.within(class(p.Protocol))
	d.Within, d.Copied, d.Inside, d.Targets, d.Ports = own, all-own, s.own(), s.aim(target), s.all()
	if e.cfg.Decoys == Block {
		d.Within, d.Copied, d.Inside, d.Ports = all, 0, int(s.live), int(s.used)
	}
}

// scored reports whether evidence is weighed.
func (e *Engine) scored() bool { return e.cfg.Style == Graded && e.cfg.Score == Dark }

// A journal bears ten probes and ten patterns a second of all sources together, in
// bursts of a hundred.
const (
	tellEach  = int64(time.Second / 10)
	tellBurst = int64(10 * time.Second)
)

// told decides whether a decision is worth an event: the first, second, fourth, eighth
// ... probe of a source, a new pattern, every reaction. Packets on their way when their
// source was blocked are not: the journal has the block after the kernel does.
//
// Reports alone, a log action included, come no faster than the journal can bear. Blocks
// and commands have their own bounds, and a pattern of many sources is said once.
func (e *Engine) told(s *source, d *Decision) {
	d.Tell = d.Tell || d.Action != None || d.NewPattern || bits.OnesCount32(d.Probes) == 1 && !d.keeps()
	pace := &e.tell
	if d.NewPattern {
		pace = &e.tellPattern // first probes of forged sources must not silence a scan's name
	}
	if d.Tell && d.Action <= Log && !(d.NewPattern && d.Pattern.Shared()) &&
		!pace.Allow(s.last, tellEach, tellBurst) {
		d.Tell, d.NewPattern = false, false
		e.stats.Untold++
	}
}

// compare looks for other senders of the same packet. If there are any, the port says
// nothing about any of them: one of them scans, and nobody can tell which one.
func (e *Engine) compare(p *probe.Probe, flow uint64, s *source, slot int, now int64, d *Decision) {
	c := e.decoys.See(p, flow, s.Key, slot, now)
	if c.Copies == 0 {
		return
	}
	d.Sources = c.Copies + 1
	// Players of a game share one source port: a datagram's copies are a decoy's from the
	// second port on.
	alone := p.Seq == 0 && s.copied&^(1<<slot) == 0
	s.copied |= 1 << slot
	if !alone {
		s.flags |= decoyed
	}
	if first := e.sources.peek(c.First); first != nil && first.portAt(int(c.Slot)) == p.Port &&
		first.stamp[c.Slot] != 0 {
		first.copied |= 1 << c.Slot
		if !alone {
			first.flags |= decoyed
		}
	}
}

// Stats returns the counters.
func (e *Engine) Stats() Stats {
	s := e.stats
	s.Sources, s.Evicted, s.Blocks = e.sources.used, e.sources.evicted, e.blocks.by[Block].Len()
	s.Fences = e.blocks.by[Fence].Len()
	s.Traces = e.traces.used
	return s
}

// Flooding reports whether more new sources come at that time than can be real.
func (e *Engine) Flooding(at time.Time) bool {
	s := e.newcomers
	s.Turn(e.clock.inside(at.UnixNano()), e.cfg.Flood)
	return s.On
}
