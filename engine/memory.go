// SPDX-License-Identifier: MIT

package engine

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A memory is a header, and lists of records: sources, traces, offenders, each
// list behind its length.
const (
	memoryVersion = 3
	headerLength  = 4 + 4 + 8
	sourceLength  = 192
	traceLength   = 64
	offenceLength = 28
)

// ErrMemory is wrapped by the error of a memory that is none.
var ErrMemory = errors.New("not the memory of an engine")

// Remember appends to b what the engine knows of sources and repeated
// offenders, in a form that another engine of the same version recalls. Blocks
// are not part of it: they are the kernel's.
func (e *Engine) Remember(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint32(b, memoryVersion)
	b = le.AppendUint32(b, uint32(e.unit))
	b = le.AppendUint64(b, uint64(e.clock.offset))
	b = le.AppendUint32(b, uint32(e.sources.used))
	b = slices.Grow(b, e.sources.used*sourceLength+e.traces.used*traceLength+len(e.blocks.order)*offenceLength+12)
	for s := range e.sources.all() {
		s := *s
		s.seen = 0 // an epoch of this table
		b = s.append(b)
	}
	b = le.AppendUint32(b, uint32(e.traces.used))
	for i := range e.traces.all {
		if e.traces.tags[i/bucketSize].at(i%bucketSize) != 0 {
			b = e.traces.all[i].append(b)
		}
	}
	b = le.AppendUint32(b, uint32(len(e.blocks.order)))
	for i := range e.blocks.order {
		k := e.blocks.order[(e.blocks.turn+i)%len(e.blocks.order)] // the oldest first
		o := e.blocks.offenders[k]
		b = le.AppendUint64(b, k.hi)
		b = le.AppendUint64(b, k.lo)
		b = le.AppendUint32(b, o.count)
		b = le.AppendUint64(b, uint64(o.until))
	}
	return b
}

// Recall adds what [Engine.Remember] wrote to what the engine knows, which for
// a new engine is nothing. If there is more than it has room for, sources that
// were not seen for long are left out. It changes nothing when it fails, and then
// wraps [ErrMemory].
func (e *Engine) Recall(b []byte) error {
	le := binary.LittleEndian
	if len(b) < headerLength || le.Uint32(b) != memoryVersion {
		return fmt.Errorf("header: %w", ErrMemory)
	}
	shift := e.clock.offset - int64(le.Uint64(b[8:]))
	sameUnits := le.Uint32(b[4:]) == uint32(e.unit) && shift == 0
	sources, rest, err := cut(b[headerLength:], sourceLength)
	if err != nil {
		return fmt.Errorf("sources: %w", err)
	}
	traces, rest, err := cut(rest, traceLength)
	if err != nil {
		return fmt.Errorf("traces: %w", err)
	}
	offenders, rest, err := cut(rest, offenceLength)
	if err != nil {
		return fmt.Errorf("offenders: %w", err)
	}
	if len(rest) > 0 {
		return fmt.Errorf("%d bytes too many: %w", len(rest), ErrMemory)
	}
	for ; len(traces) > 0; traces = traces[traceLength:] {
		e.recallTrace(traces, shift)
	}
	for _, at := range byLast(sources) {
		e.recallSource(sources[at:], shift, sameUnits)
	}
	for ; len(offenders) > 0; offenders = offenders[offenceLength:] {
		o := offenders
		k := key{le.Uint64(o), le.Uint64(o[8:])}
		e.blocks.offend(k, offence{count: le.Uint32(o[16:]), until: int64(le.Uint64(o[20:])) + shift}, e.cfg.Blocks)
	}
	return nil
}

// byLast returns where each record of a list of sources begins, those first
// that were not seen for the longest time.
func byLast(list []byte) []int {
	at := make([]int, len(list)/sourceLength)
	for i := range at {
		at[i] = i * sourceLength
	}
	last := func(i int) int64 { return int64(binary.LittleEndian.Uint64(list[i+16:])) } // see source.append
	slices.SortFunc(at, func(a, b int) int { return cmp.Compare(last(a), last(b)) })
	return at
}

// recallSource takes over the record at the beginning of b, unless it is none.
func (e *Engine) recallSource(b []byte, shift int64, sameUnits bool) {
	var s source
	s.read(b)
	s.last += shift
	s.first += uint32(shift / int64(time.Second))
	if !s.sound() || s.last < 0 || s.last > latest+mostOffset {
		return // an index that is none must not come in
	}
	if !sameUnits {
		s.rest()
	}
	s.half = e.halfOf(s.last) // the slow window may have been another
	known := e.sources.find(s.key)
	if known == nil {
		place, old := e.sources.room(s.key)
		if old != nil {
			e.traces.put(old, s.last-2*e.half)
		}
		known = e.sources.put(place, s.key)
		if s.probes > 1 || s.used > 1 || s.flags&proven != 0 {
			e.sources.saw(place)
		}
	}
	s.seen = known.seen
	*known = s
}

// recallTrace takes over the trace at the beginning of b, unless it is none.
func (e *Engine) recallTrace(b []byte, shift int64) {
	var t trace
	t.read(b)
	if t.used > traceSlots {
		return
	}
	t.first += uint32(shift / int64(time.Second))
	t.last += uint32(shift / int64(time.Second))
	s := source{key: t.key}
	t.fill(&s)
	e.traces.put(&s, s.last-2*e.half)
}

// sound reports whether every field of a record that leads somewhere leads
// somewhere.
func (s *source) sound() bool {
	live := uint8(0)
	for i, t := range s.stamp {
		if t != 0 {
			live++
			if i >= int(s.used) {
				return false
			}
		}
	}
	return s.used <= portSlots && s.next < portSlots && s.live == live && int(s.named) < Patterns &&
		uint64(s.copied)>>s.used == 0 && (s.used == portSlots || s.next == s.used)
}

// cut takes a list of records of so many bytes off b.
func cut(b []byte, length int) (list, rest []byte, err error) {
	if len(b) < 4 {
		return nil, nil, ErrMemory
	}
	n := uint64(binary.LittleEndian.Uint32(b)) * uint64(length)
	if b = b[4:]; n > uint64(len(b)) {
		return nil, nil, fmt.Errorf("cut off: %w", ErrMemory)
	}
	return b[:n], b[n:], nil
}

// append and read keep every field of a source; TestSourceRecord holds them to that.
func (s *source) append(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint64(b, s.hi)
	b = le.AppendUint64(b, s.lo)
	b = le.AppendUint64(b, uint64(s.last))
	for _, r := range s.recent {
		b = le.AppendUint32(b, r)
	}
	b = append(b, byte(s.score), s.marks)
	b = le.AppendUint16(b, s.asked)
	b = le.AppendUint32(b, s.probes)
	b = le.AppendUint32(b, s.copied)
	b = le.AppendUint32(b, s.kept)
	b = append(b, s.half, s.flags, s.used, s.next, s.turn, s.live, byte(s.named), byte(s.tool), s.agreed, s.seen)
	b = le.AppendUint16(b, s.hosts)
	for _, p := range s.port {
		b = le.AppendUint64(b, p)
	}
	b = append(b, s.stamp[:]...)
	b = le.AppendUint64(b, s.protocols)
	b = le.AppendUint64(b, s.targets[0])
	b = le.AppendUint64(b, s.targets[1])
	b = le.AppendUint32(b, s.first)
	b = le.AppendUint16(b, s.ports)
	return le.AppendUint16(b, s.again)
}

func (s *source) read(b []byte) {
	le := binary.LittleEndian
	u64 := func() (v uint64) { v, b = le.Uint64(b), b[8:]; return v }
	u32 := func() (v uint32) { v, b = le.Uint32(b), b[4:]; return v }
	u16 := func() (v uint16) { v, b = le.Uint16(b), b[2:]; return v }
	u8 := func() (v uint8) { v, b = b[0], b[1:]; return v }
	s.hi, s.lo, s.last = u64(), u64(), int64(u64())
	for i := range s.recent {
		s.recent[i] = u32()
	}
	s.score, s.marks, s.asked = int8(u8()), u8(), u16()
	s.probes, s.copied, s.kept = u32(), u32(), u32()
	s.half, s.flags, s.used, s.next, s.turn, s.live = u8(), u8(), u8(), u8(), u8(), u8()
	s.named, s.tool, s.agreed, s.seen = Pattern(u8()), Tool(u8()), u8(), u8()
	s.hosts = u16()
	for i := range s.port {
		s.port[i] = u64()
	}
	b = b[copy(s.stamp[:], b):]
	s.protocols, s.targets[0], s.targets[1] = u64(), u64(), u64()
	s.first, s.ports, s.again = u32(), u16(), u16()
}

// append and read keep every field of a trace; TestTraceRecord holds them to that.
func (t *trace) append(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint64(b, t.hi)
	b = le.AppendUint64(b, t.lo)
	b = le.AppendUint32(b, t.first)
	b = le.AppendUint32(b, t.last)
	b = le.AppendUint32(b, t.classes)
	for _, p := range t.port {
		b = le.AppendUint16(b, p)
	}
	return append(b, t.used, t.flags, byte(t.tool), t.agreed)
}

func (t *trace) read(b []byte) {
	le := binary.LittleEndian
	t.hi, t.lo = le.Uint64(b), le.Uint64(b[8:])
	t.first, t.last, t.classes = le.Uint32(b[16:]), le.Uint32(b[20:]), le.Uint32(b[24:])
	for i := range t.port {
		t.port[i] = le.Uint16(b[28+2*i:])
	}
	t.used, t.flags, t.tool, t.agreed = b[60], b[61], Tool(b[62]), b[63]
}
