// SPDX-License-Identifier: MIT

package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"picket/engine/internal/book"
	"picket/internal/probe"
)

// A part of a memory is a header and records of sources, traces and offenders, each
// behind a byte for its kind.
const (
	memoryVersion = 4
	headerLength  = 4 + 4 + 8
	sourceLength  = 192
	traceLength   = 64
	offenceLength = 28

	sourceRecord  = 's'
	traceRecord   = 't'
	offenceRecord = 'o'
)

// A memory has at most so many records and traces, those of the most ports.
const (
	mostSources = 1 << 14
	mostTraces  = 1 << 15
)

// partLength is the length of a part in bytes, give or take a record.
const partLength = 64 << 10

// ErrMemory is the error of bytes that no engine of this version wrote.
var ErrMemory = errors.New("not the memory of an engine")

// A Memory writes what an engine knows of sources and repeated offenders, in parts.
// Another engine of the same version recalls them in any order. The kernel has the
// blocks. A source with ports inside the window is written as its record, another as its
// trace, if it is worth one. Sources of a single port, the stuff of floods, are left out
// first.
//
// The engine may observe probes between two parts: a part has what is known then.
type Memory struct {
	e       *Engine
	at      int // the next bucket of sources, then of traces, then offender
	sources int // the least ports of a source whose record is written,
	traces  int // and of one whose trace is
}

// Memory begins to write what the engine knows.
func (e *Engine) Memory() Memory {
	m := Memory{e: e}
	var records, traces [portSlots + 1]int
	for s := range e.sources.all() {
		switch {
		case e.counting(s):
			records[s.used]++
		case s.worth():
			traces[s.used]++
		}
	}
	for i := range e.traces.all {
		if e.traces.tags[i/bucketSize].at(i%bucketSize) != 0 {
			traces[e.traces.all[i].used]++
		}
	}
	m.sources, m.traces = atLeast(&records, mostSources), atLeast(&traces, mostTraces)
	return m
}

// atLeast returns the least number of ports that no more than most sources reach. Count
// is by ports.
func atLeast(count *[portSlots + 1]int, most int) (ports int) {
	for ports = len(count); ports > 0 && most >= count[ports-1]; ports-- {
		most -= count[ports-1]
	}
	return ports
}

// counting reports whether ports of s may be inside the window. Its record then says more
// than its trace.
func (e *Engine) counting(s *source) bool {
	return s.live > 0 && e.clock.now-s.last < int64(e.cfg.Window)
}

// Next appends the next part to b; more is false behind the last one.
func (m *Memory) Next(b []byte) (part []byte, more bool) {
	e, le := m.e, binary.LittleEndian
	end := len(b) + partLength
	b = le.AppendUint32(b, memoryVersion)
	b = le.AppendUint32(b, uint32(e.unit))
	b = le.AppendUint64(b, uint64(e.clock.offset))
	buckets, traces := len(e.sources.tags), len(e.traces.tags)
	for ; len(b) < end; m.at++ {
		switch at := m.at - buckets - traces; {
		case m.at < buckets:
			for i := range e.sources.load(uint64(m.at)) {
				b = m.source(b, &e.sources.records[m.at*bucketSize+i])
			}
		case at < 0:
			t := m.at - buckets
			for i := range bucketSize {
				if x := &e.traces.all[t*bucketSize+i]; e.traces.tags[t].at(i) != 0 &&
					int(x.used) >= m.traces {
					b = x.append(append(b, traceRecord))
				}
			}
		case at < e.blocks.offenders.Len():
			k, o := e.blocks.offenders.Ith(at)
			b = le.AppendUint64(append(b, offenceRecord), k.Hi)
			b = le.AppendUint64(b, k.Lo)
			b = le.AppendUint32(b, o.Count)
			b = le.AppendUint64(b, uint64(o.Until))
		default:
			return b, false
		}
	}
	return b, true
}

// source appends the record of a source, or its trace.
func (m *Memory) source(b []byte, s *source) []byte {
	switch {
	case m.e.counting(s) && int(s.used) >= m.sources:
		s := *s
		s.seen = 0 // an epoch of this table
		return s.append(append(b, sourceRecord))
	case s.worth() && int(s.used) >= m.traces:
		t := traceOf(s)
		return t.append(append(b, traceRecord))
	}
	return b
}

// lengths are those of the records behind their first byte.
var lengths = map[byte]int{sourceRecord: sourceLength, traceRecord: traceLength, offenceRecord: offenceLength}

// Recall adds a part that a [Memory] wrote to what the engine knows. Where room is short,
// sources take places as if they had been seen. After an error, which wraps [ErrMemory],
// nothing has changed.
func (e *Engine) Recall(b []byte) error {
	le := binary.LittleEndian
	if len(b) < headerLength || le.Uint32(b) != memoryVersion {
		return fmt.Errorf("header: %w", ErrMemory)
	}
	shift := e.clock.offset - int64(le.Uint64(b[8:]))
	sameUnits := le.Uint32(b[4:]) == uint32(e.unit) && shift == 0
	b = b[headerLength:]
	for rest := b; len(rest) > 0; {
		n, ok := lengths[rest[0]]
		if rest = rest[1:]; !ok || n > len(rest) {
			return fmt.Errorf("record of %d bytes: %w", len(rest), ErrMemory)
		}
		rest = rest[n:]
	}
	for len(b) > 0 {
		kind, record := b[0], b[1:]
		b = record[lengths[kind]:]
		switch kind {
		case sourceRecord:
			e.recallSource(record, shift, sameUnits)
		case traceRecord:
			e.recallTrace(record, shift)
		case offenceRecord:
			k := probe.Key{Hi: le.Uint64(record), Lo: le.Uint64(record[8:])}
			o := book.Offence{Count: le.Uint32(record[16:]), Until: int64(le.Uint64(record[20:])) + shift}
			e.blocks.offenders.Note(k, o, e.cfg.offenders())
		}
	}
	return nil
}

// recallSource adds the record at the beginning of b if it is sound.
func (e *Engine) recallSource(b []byte, shift int64, sameUnits bool) {
	var s source
	s.read(b)
	s.last += shift
	s.first += uint32(shift / int64(time.Second))
	if !s.sound() || s.last < 0 || s.last > latest+mostOffset {
		return // an index out of range must not come in
	}
	if !sameUnits {
		s.rest()
	}
	s.half = e.halfOf(s.last) // the slow window may have changed
	known := e.sources.find(s.Key)
	if known == nil {
		place, old := e.sources.room(s.Key)
		if old != nil {
			e.traces.put(old, s.last-2*e.half)
		}
		known = e.sources.put(place, s.Key)
		if s.probes > 1 || s.used > 1 || s.flags&proven != 0 {
			e.sources.saw(place)
		}
	}
	s.seen = known.seen
	*known = s
}

// recallTrace adds the trace at the beginning of b if it is sound.
func (e *Engine) recallTrace(b []byte, shift int64) {
	var t trace
	t.read(b)
	if t.used > traceSlots {
		return
	}
	t.first += uint32(shift / int64(time.Second))
	t.last += uint32(shift / int64(time.Second))
	s := source{Key: t.Key}
	t.fill(&s)
	e.traces.put(&s, s.last-2*e.half)
}

// sound reports whether every index and count of a record is in range.
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

// append and read cover every field of a source; TestSourceRecord checks that.
func (s *source) append(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint64(b, s.Hi)
	b = le.AppendUint64(b, s.Lo)
	b = le.AppendUint64(b, uint64(s.last))
	for _, r := range s.recent {
		b = le.AppendUint32(b, r)
	}
	b = append(b, byte(s.score), s.marks)
	b = le.AppendUint16(b, s.asked)
	b = le.AppendUint32(b, s.probes)
	b = le.AppendUint32(b, s.copied)
	b = le.AppendUint32(b, s.current)
	b = append(b, s.half, s.flags, s.used, s.next, s.turn, s.live, byte(s.named), byte(s.tool), s.agreed,
		s.seen)
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
	s.Hi, s.Lo, s.last = u64(), u64(), int64(u64())
	for i := range s.recent {
		s.recent[i] = u32()
	}
	s.score, s.marks, s.asked = int8(u8()), u8(), u16()
	s.probes, s.copied, s.current = u32(), u32(), u32()
	s.half, s.flags, s.used, s.next, s.turn, s.live = u8(), u8(), u8(), u8(), u8(), u8()
	s.named, s.tool, s.agreed, s.seen = Pattern(u8()), probe.Tool(u8()), u8(), u8()
	s.hosts = u16()
	for i := range s.port {
		s.port[i] = u64()
	}
	b = b[copy(s.stamp[:], b):]
	s.protocols, s.targets[0], s.targets[1] = u64(), u64(), u64()
	s.first, s.ports, s.again = u32(), u16(), u16()
}

// append and read cover every field of a trace; TestTraceRecord checks that.
func (t *trace) append(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint64(b, t.Hi)
	b = le.AppendUint64(b, t.Lo)
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
	t.Hi, t.Lo = le.Uint64(b), le.Uint64(b[8:])
	t.first, t.last, t.classes = le.Uint32(b[16:]), le.Uint32(b[20:]), le.Uint32(b[24:])
	for i := range t.port {
		t.port[i] = le.Uint16(b[28+2*i:])
	}
	t.used, t.flags, t.tool, t.agreed = b[60], b[61], probe.Tool(b[62]), b[63]
}
