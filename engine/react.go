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

// aggregateAt is how many addresses of one IPv6 prefix must have been reacted
// to before the prefix is blocked in their place. Whoever forges one forges three,
// so in style Graded they must have proven themselves; where a block is all there
// is, a scanner with an address for every port must not need one for each.
const aggregateAt = 3

// minute is what the rate of unproven blocks counts in.
const minute = int64(time.Minute)

// FenceTime is how long a fence lasts. It does not grow: what it rests on may be
// forged by somebody who wants to see its source fenced.
const FenceTime = 10 * time.Minute

// fenceRate is how many sources may be fenced in a minute, and as many at once
// after a quiet one. Whoever forges as many stays below half of Config.Blocks
// as it is by default, and below the room of lately.
const fenceRate = 6000

// react fills in what is done about a source that is above a limit; d.Reason
// says which.
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
		action = Fence // to forge one of a list that is blocked at once gains nothing
		if d.Reason == AboveSweep && e.scored() && !p.Behind {
			// a proxy asks all addresses whose service is down: the dark costs it nothing once that is back
			return
		}
	}
	if e.inForce(p, action, now, d) {
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
		int64(d.For+e.cfg.Memory)}, e.cfg.Blocks)
	d.Action = action
	if action == Block && !d.Proven {
		s.flags |= answered
	}
}

// inForce decides about a packet of a source for which what is due was done, or
// more than that, and reports whether it was.
func (e *Engine) inForce(p *probe.Probe, due Action, now int64, d *Decision) bool {
	if by, b, ok := e.covering(Block, p.Source, now); ok {
		e.stillBlocked(p, by, b, now, d)
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

// stillBlocked decides about a packet of a source that is blocked: it was on its
// way before, or the kernel has lost the block.
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

// fence fills in a fence, unless the source had its ten minutes of this hour. It
// holds for all that is one source, as the kernel counts: an IPv6 prefix whole,
// but for one with a friend in it.
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

// answering reports whether a response is in force to the source of a. When one
// that rests on what may be forged has ended, the ports that led to it count no
// more, so that it takes as many again to make the next.
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

// floodPorts is how many ports, or addresses, of one source stand out of a
// flood of sources.
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

// extent returns what of a source to block: the address, or its IPv6 prefix
// once several of its addresses were reacted to, in style Graded for what is
// proven. A prefix with a friend or a
// connected peer in it is never blocked, and neither is one that is on a link of
// ours, where neighbours and routers live.
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

// covering returns the reaction of a kind in force that holds an address, and of
// what it is.
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
