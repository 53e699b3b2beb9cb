// SPDX-License-Identifier: MIT

package engine

import (
	"math/bits"
	"net/netip"
	"time"
)

// An Engine holds what is known of the sources. Make one with [New]. It is not
// safe for concurrent use.
type Engine struct {
	cfg     Config
	window  uint16 // cfg.Window in ticks
	sources *table
	blocks  blocks
	pace    pace
	stats   Stats
}

// Stats counts what an engine did since it was made.
type Stats struct {
	Probes  uint64          // calls of Observe
	Reasons [Reasons]uint64 // by why they were decided as they were
	Sources int             // known now
	Evicted uint64          // forgotten to make room
	Blocks  int             // in force by the engine's books
	Untold  uint64          // events left out to spare the journal
}

// New returns an engine for a configuration. The seed makes the places of
// sources in the table unpredictable to who sends the probes; no decision
// depends on it.
func New(cfg Config, seed uint64) (*Engine, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	e := &Engine{sources: newTable(cfg.Sources, seed)}
	e.blocks.init()
	e.configure(cfg)
	return e, nil
}

// Reconfigure changes the configuration and keeps what is known of sources
// and blocks. Only the number of sources stays what it was.
func (e *Engine) Reconfigure(cfg Config) error {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	e.configure(cfg)
	return nil
}

func (e *Engine) configure(cfg Config) {
	e.cfg = cfg
	e.window = uint16(cfg.Window / tick)
}

// Observe folds one probe into what is known of its source and returns what
// to do.
//
// Time is p.At alone. A probe that is older than the newest one of its source
// counts as simultaneous with it. A protected source is never blocked.
// Observe never fails, never blocks and, but for a reaction, does not allocate.
func (e *Engine) Observe(p Probe) Decision {
	e.stats.Probes++
	pol := e.cfg.policy(p.Protocol)
	d := e.judge(&p, pol)
	e.stats.Reasons[d.Reason]++
	// The kernel held the source if this was a hot port; hold rules look at
	// ports, so other protocols are not held.
	if d.Action != Block && d.Reason != AlreadyBlocked && pol.hot(p.Mode) && class(p.Protocol) != 3 {
		d.Release = true
	}
	return d
}

// hot reports whether the kernel holds a source that probes a port of mode m.
// Classic mode never is: its trap must be able to complete the handshake.
func (p *Policy) hot(m Mode) bool {
	return p.Action == Block && p.Trigger[m] == 0 && m != Classic
}

func (e *Engine) judge(p *Probe, pol *Policy) Decision {
	if p.Technique.Backscatter() {
		return Decision{Reason: Backscatter}
	}
	if e.lateAnswer(p) {
		return Decision{Reason: LateAnswer}
	}
	k := keyOf(p.Source, e.cfg.Prefix6)
	s := e.sources.find(k)
	if s == nil {
		s = e.sources.add(k)
		s.first, s.last = p.At, p.At
	}
	s.age(p.At)
	if s.repeated(fingerprint(p)) {
		s.again++
		return Decision{Reason: Retransmission, Probes: s.probes}
	}
	s.probes++
	if p.Technique == Connect {
		s.flags |= proven
	}
	d := Decision{Reason: BelowTrigger, Probes: s.probes, Proven: s.flags&proven != 0, Trigger: pol.Trigger[p.Mode]}
	if e.cfg.Trap && p.Mode == Classic && p.Technique == SYN {
		d.Reason = Handshake
		return d
	}
	s.note(p.Port, class(p.Protocol), stampOf(s.last))
	d.Within = s.within(stampOf(s.last), e.window)
	d.Pattern, d.NewPattern = s.pattern(d.Within, s.aim(p.Destination))
	if d.Within > d.Trigger {
		e.react(p, k, pol.Action, s.last, &d)
	}
	d.Tell = d.Action != None || d.NewPattern || bits.OnesCount32(s.probes) == 1
	if d.Tell && d.Action == None && !e.pace.allow(s.last) {
		d.Tell = false
		e.stats.Untold++
	}
	return d
}

// lateAnswer reports whether p comes from a well-known port to one that this
// host uses for its own connections, and is nothing that starts a connection:
// the answer of a resolver or a web server that conntrack has given up waiting for.
func (e *Engine) lateAnswer(p *Probe) bool {
	if p.SourcePort == 0 || p.SourcePort >= 1024 || p.Port < e.cfg.Ephemeral {
		return false
	}
	return p.Technique == UDP || p.Technique == ACK || p.Technique == Maimon
}

// age moves the record's clock to at, and forgets ports too old for their stamps.
func (s *source) age(at int64) {
	if at <= s.last {
		return
	}
	if at-s.last > int64(maxAge)*int64(tick) {
		s.forget()
	} else if s.used > 0 && stampOf(at) != stampOf(s.last) {
		s.expire(stampOf(at))
	}
	s.last = at
}

// expire drops the ports that were not probed for maxAge. Their stamps would
// look new again after 36 hours.
func (s *source) expire(now uint16) {
	kept := uint8(0)
	for i := range int(s.used) {
		if now-s.stamp[i] > maxAge {
			continue
		}
		if int(kept) != i {
			s.setPort(int(kept), s.portAt(i), uint8(s.protocols>>(2*i)&3))
			s.stamp[kept] = s.stamp[i]
		}
		kept++
	}
	if kept != s.used {
		s.used, s.next = kept, kept%portSlots
	}
}

// pattern names what the source's probes are, and whether that is news.
func (s *source) pattern(ports, targets int) (Pattern, bool) {
	switch {
	case ports >= patternAt:
		told := s.flags&toldPortScan != 0
		s.flags |= toldPortScan
		return PortScan, !told
	case targets >= patternAt:
		told := s.flags&toldSweep != 0
		s.flags |= toldSweep
		return Sweep, !told
	}
	return NoPattern, false
}

// renewAfter is how long packets of a blocked source may still arrive: those
// that were queued before the kernel had the block.
const renewAfter = 2 * time.Second

// react fills in what is done about a source that is above its trigger.
func (e *Engine) react(p *Probe, k key, action Action, at int64, d *Decision) {
	if e.cfg.Protected.Contains(p.Source) {
		d.Reason = IsProtected
		return
	}
	if b, ok := e.blocks.get(p.Source, at); ok {
		d.Reason = AlreadyBlocked
		if b.action == Block && at-b.since > int64(renewAfter) {
			d.Reason, d.Action, d.For = LostBlock, Block, time.Duration(b.until-at)
			b.since = at
			e.blocks.by[p.Source] = b
		}
		return
	}
	d.Offence = e.blocks.offence(k, at) + 1
	d.For = e.cfg.For[min(d.Offence, len(e.cfg.For))-1]
	if !e.blocks.add(p.Source, block{since: at, until: at + int64(d.For), action: action}, at, e.cfg.Blocks) {
		*d = Decision{Reason: Full, Probes: d.Probes, Trigger: d.Trigger, Within: d.Within}
		return
	}
	e.blocks.offend(k, offence{count: uint32(d.Offence), until: at + int64(d.For+e.cfg.Memory)}, e.cfg.Blocks)
	d.Action, d.Reason = action, AboveTrigger
}

// Unblock forgets that a source is blocked and the ports it probed, so that
// its next probe is judged like a first one. That it was an offender stays.
func (e *Engine) Unblock(a netip.Addr) {
	delete(e.blocks.by, a)
	if s := e.sources.peek(keyOf(a, e.cfg.Prefix6)); s != nil {
		s.forget()
	}
}

// Restore tells the engine of a block that it did not make: one that the
// kernel has from an earlier run, or that the operator made by hand.
func (e *Engine) Restore(a netip.Addr, since, until time.Time) {
	e.blocks.add(a, block{since: since.UnixNano(), until: until.UnixNano(), action: Block}, since.UnixNano(), e.cfg.Blocks)
}

// Blocked reports whether a is blocked at a time, by the engine's books.
func (e *Engine) Blocked(a netip.Addr, at int64) bool {
	b, ok := e.blocks.get(a, at)
	return ok && b.action == Block
}

// Stats returns the counters.
func (e *Engine) Stats() Stats {
	s := e.stats
	s.Sources, s.Evicted, s.Blocks = int(e.sources.used), e.sources.evicted, len(e.blocks.by)
	return s
}

// pace bounds the events that are not reactions to 10 a second over a burst of
// 100, by the probes' own time.
type pace struct {
	at     int64
	tokens int64 // nanoseconds
}

func (p *pace) allow(at int64) bool {
	const each, burst = int64(time.Second / 10), int64(10 * time.Second)
	if p.at == 0 {
		p.at, p.tokens = at, burst
	}
	if at > p.at {
		p.tokens = min(burst, p.tokens+at-p.at)
		p.at = at
	}
	if p.tokens < each {
		return false
	}
	p.tokens -= each
	return true
}
