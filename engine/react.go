// SPDX-License-Identifier: MIT

package engine

import (
	"math/bits"
	"net/netip"
	"time"

	"picket/engine/internal/book"
	"picket/internal/probe"
)

// renewAfter is how long packets of a blocked source may still arrive: those
// that were queued before the kernel had the block.
const renewAfter = 2 * time.Second

// aggregateAt is how many addresses of an IPv6 prefix must be reacted to before the
// prefix is blocked in their place. Whoever forges one forges three, so style Graded asks
// for proof. Style BlockOnly does not: a scanner may have an address for every port.
const aggregateAt = 3

// minute is what the rate of unproven blocks counts in.
const minute = int64(time.Minute)

// FenceTime is how long a fence lasts. It does not grow: its grounds may be forged by
// somebody who wants to see the source fenced.
const FenceTime = 10 * time.Minute

// fenceRate is how many sources may be fenced in a minute, and as many more at once after
// a quiet one. Forgers at that rate stay below half of the default Config.Blocks, and
// below the room of lately.
const fenceRate = 6000

// react fills in the answer to a source above the limit that d.Reason names.
func (e *Engine) react(p *probe.Probe, k probe.Key, s *source, action Action, d *Decision) {
	now := e.clock.now
	if e.cfg.Protected.Contains(p.Source) {
		d.Reason = IsProtected
		return
	}
	if !d.Proven && action > Log && e.cfg.Operators.Contains(p.Source) {
		d.Reason = IsOperator
		return
	}
	if action == Block && e.cfg.Style == Graded && !d.Proven && (d.Reason != KnownFirst ||
		e.connected.Contains(p.Source)) {
		action = Fence // forging a source of a list blocked at once gains nothing
		if d.Reason == AboveSweep && e.scored() && !p.Behind {
			// a proxy asks all addresses whose service is down: the dark costs it nothing once that is back
			return
		}
	}
	if e.inForce(p, action, now, d) || action == None {
		return
	}
	if action == Fence {
		e.fence(p, k, s, now, d)
		return
	}
	if !d.Proven {
		if why := e.spare(p, action, d); why != 0 {
			d.Reason = why
			return
		}
	}
	d.Source = e.extent(p.Source, s, d.Proven)
	d.Offence = e.blocks.offenders.Next(k, now)
	d.For = e.length(d)
	if !e.add(action, d.Source, book.Block{Since: now, Until: now + int64(d.For), Forgeable: !d.Proven}, d) {
		d.Reason, d.For, d.Offence, d.Source = Full, 0, 0, netip.Prefix{}
		return
	}
	e.blocks.offenders.Note(k, book.Offence{Count: uint32(d.Offence), Block: now + int64(d.For), Until: now +
		int64(d.For+e.cfg.Memory)}, e.cfg.offenders())
	d.Action = action
	if action == Block && !d.Proven {
		s.flags |= answered
	}
}

// inForce reports whether what is due, or more, is in force for a source, or has to wait.
// If so, it decides about the packet.
func (e *Engine) inForce(p *probe.Probe, due Action, now int64, d *Decision) bool {
	if by, b, ok := e.covering(Block, p.Source, now); ok {
		e.stillBlocked(p, by, b, now, d)
		return true
	}
	if p.Sent == probe.SentNotYet && due != Fence && (d.Reason == AboveTrigger || d.Reason == KnownFirst) {
		d.Reason = Handshake // it may yet be proven, and then nothing unproven may stand in the way
		return true
	}
	if _, _, ok := e.covering(due, p.Source, now); !ok {
		return false
	}
	if d.Reason = AlreadyReacted; due == Fence {
		d.Reason = AlreadyFenced // its first probes of ports go on arriving
	}
	return true
}

// stillBlocked decides about a packet of a blocked source: it was on its way before, or
// the kernel has lost the block.
func (e *Engine) stillBlocked(p *probe.Probe, by netip.Prefix, b book.Block, now int64, d *Decision) {
	if b.Forgeable && !d.Proven && e.connected.Contains(p.Source) {
		d.Reason = IsConnected // it was let go, or will be
		return
	}
	d.Reason = AlreadyBlocked
	if now-b.Since > int64(renewAfter) {
		d.Reason, d.Action, d.For, d.Source = LostBlock, Block, time.Duration(b.Until-now), by
		e.blocks.by[Block].Renew(by, now)
	}
}

// fence fills in a fence, unless the source had its ten minutes of this hour. It covers
// the whole source as the kernel counts it, an IPv6 prefix too, unless a friend is in
// that.
func (e *Engine) fence(p *probe.Probe, k probe.Key, s *source, now int64, d *Decision) {
	switch {
	case !e.blocks.lately.Free(k, now):
		d.Reason = FencedLately
		return
	case !e.fences.Allow(e.SourceOf(p.Source), e.sources.seed, now, minute/fenceRate, minute):
		d.Reason = TooMany
		return
	}
	whole := e.SourceOf(p.Source)
	if e.cfg.Spared(whole) {
		whole = netip.PrefixFrom(p.Source, p.Source.BitLen())
	}
	if !e.add(Fence, whole, book.Block{Since: now, Until: now + int64(FenceTime), Forgeable: true}, d) {
		d.Reason = Full
		return
	}
	e.blocks.lately.Note(k, now)
	s.flags |= answered
	d.Action, d.Source, d.For, d.Offence = Fence, whole, FenceTime, e.blocks.offenders.Count(k, now)
}

// answering reports whether a response to the source of a is in force. After one on
// forgeable grounds its ports count no more: the next takes as many again.
func (e *Engine) answering(a netip.Addr, k probe.Key, now int64) bool {
	_, _, fenced := e.covering(Fence, a, now)
	_, _, blocked := e.covering(Block, a, now)
	return fenced || blocked || e.blocks.offenders.Held(k, now)
}

// spare returns why an unproven source is not reacted to, or 0.
func (e *Engine) spare(p *probe.Probe, action Action, d *Decision) Reason {
	now := e.clock.now
	switch {
	case action == Log:
		return 0
	case e.connected.Contains(p.Source):
		return IsConnected
	case d.Reason == KnownFirst: // to forge one of these gains nothing
		return 0
	case e.newcomers.On && d.Inside < floodPorts && d.Targets < floodPorts && d.Ports < floodPorts:
		// Forgers of random sources do not come back to one of them ten times.
		return InFlood
	case !e.unproven.Allow(e.SourceOf(p.Source), e.sources.seed, now, minute/int64(e.cfg.UnprovenRate),
		minute):
		return TooMany
	}
	return 0
}

// floodPorts is how many ports, or addresses, make a source stand out of a flood.
const floodPorts = 10

// length returns how long a reaction lasts. An unproven source may be an
// innocent address that somebody forged, so it never stays longer than a
// proven one.
func (e *Engine) length(d *Decision) time.Duration {
	long := e.cfg.For[min(d.Offence, len(e.cfg.For))-1]
	if d.Proven {
		return long
	}
	return min(long, e.cfg.UnprovenFor[min(d.Offence, len(e.cfg.UnprovenFor))-1])
}

// extent returns what to block of a source: the address, or its IPv6 prefix once several
// of its addresses were reacted to, in style Graded on proof. A prefix with a friend or a
// connected peer in it is never blocked, nor one on a link of ours, where neighbours and
// routers live.
func (e *Engine) extent(a netip.Addr, s *source, proven bool) netip.Prefix {
	one := netip.PrefixFrom(a, a.BitLen())
	if a.Is4() {
		return one
	}
	length := e.prefixOf(a)
	if length == 128 || !proven && e.cfg.Style == Graded {
		return one
	}
	if s.hosts |= 1 << (probe.Words(a).Hash() >> 60); bits.OnesCount16(s.hosts) < aggregateAt {
		return one
	}
	whole := netip.PrefixFrom(a, length).Masked()
	if e.cfg.OnLink.Overlaps(whole) || e.cfg.Spared(whole) || e.connected.Overlaps(whole) {
		return one
	}
	return whole
}

// covering returns the reaction of a kind in force for an address, and its extent.
func (e *Engine) covering(kind Action, a netip.Addr, now int64) (by netip.Prefix, b book.Block, ok bool) {
	by = netip.PrefixFrom(a, a.BitLen())
	if b, ok = e.blocks.get(kind, by, now); ok {
		return by, b, ok
	}
	if a.Is6() {
		by = netip.PrefixFrom(a, e.prefixOf(a)).Masked()
		b, ok = e.blocks.get(kind, by, now)
	}
	if !ok && kind == Dark {
		by = book.PrefixOfNetwork(a)
		b, ok = e.blocks.get(kind, by, now)
	}
	return by, b, ok
}
