// SPDX-License-Identifier: MIT

package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// sourceLength and offenceLength are the bytes of one record of a memory.
const (
	sourceLength  = 208
	offenceLength = 28
)

// ErrMemory is wrapped by the error of a memory that is none.
var ErrMemory = errors.New("not the memory of an engine")

// Remember appends to b what the engine knows of sources and repeated
// offenders, in a form that another engine of the same version recalls. Blocks
// are not part of it: they are the kernel's.
func (e *Engine) Remember(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, e.sources.used)
	for r := e.sources.oldest; r != none; r = e.sources.order[r].newer {
		b = e.sources.records[r].append(b)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(e.blocks.order)))
	for i := range e.blocks.order {
		k := e.blocks.order[(e.blocks.turn+i)%len(e.blocks.order)] // the oldest first
		o := e.blocks.offenders[k]
		b = binary.LittleEndian.AppendUint64(b, k.hi)
		b = binary.LittleEndian.AppendUint64(b, k.lo)
		b = binary.LittleEndian.AppendUint32(b, o.count)
		b = binary.LittleEndian.AppendUint64(b, uint64(o.until))
	}
	return b
}

// Recall adds what [Engine.Remember] wrote to what the engine knows, which for
// a new engine is nothing. If there is more than it has room for, the sources
// least recently seen are left out. It changes nothing when it fails, and then
// wraps [ErrMemory].
func (e *Engine) Recall(b []byte) error {
	sources, rest, err := cut(b, sourceLength)
	if err != nil {
		return fmt.Errorf("sources: %w", err)
	}
	offenders, rest, err := cut(rest, offenceLength)
	if err != nil {
		return fmt.Errorf("offenders: %w", err)
	}
	if len(rest) > 0 {
		return fmt.Errorf("%d bytes too many: %w", len(rest), ErrMemory)
	}
	for ; len(sources) > 0; sources = sources[sourceLength:] {
		var s source
		s.read(sources)
		if s.used > portSlots || s.next >= portSlots || s.turn >= uint8(len(s.recent)) {
			continue // an index that is none must not come in
		}
		known := e.sources.find(s.key)
		if known == nil {
			known = e.sources.add(s.key)
		}
		*known = s
	}
	for ; len(offenders) > 0; offenders = offenders[offenceLength:] {
		o := offenders
		k := key{binary.LittleEndian.Uint64(o), binary.LittleEndian.Uint64(o[8:])}
		e.blocks.offend(k, offence{binary.LittleEndian.Uint32(o[16:]), int64(binary.LittleEndian.Uint64(o[20:]))}, e.cfg.Blocks)
	}
	return nil
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

// append and read keep every field of a source; TestMemory holds them to that.
func (s *source) append(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint64(b, s.hi)
	b = le.AppendUint64(b, s.lo)
	b = le.AppendUint64(b, uint64(s.first))
	b = le.AppendUint64(b, uint64(s.last))
	b = le.AppendUint32(b, s.probes)
	b = le.AppendUint32(b, s.again)
	for _, r := range s.recent {
		b = le.AppendUint32(b, r)
	}
	b = le.AppendUint32(b, s.ports)
	b = append(b, s.used, s.next, s.turn, s.flags)
	b = le.AppendUint64(b, s.targets)
	b = le.AppendUint64(b, s.protocols)
	for _, p := range s.port {
		b = le.AppendUint64(b, p)
	}
	for _, t := range s.stamp {
		b = le.AppendUint16(b, t)
	}
	return b
}

func (s *source) read(b []byte) {
	le := binary.LittleEndian
	u64 := func() (v uint64) { v, b = le.Uint64(b), b[8:]; return v }
	u32 := func() (v uint32) { v, b = le.Uint32(b), b[4:]; return v }
	s.hi, s.lo = u64(), u64()
	s.first, s.last = int64(u64()), int64(u64())
	s.probes, s.again = u32(), u32()
	for i := range s.recent {
		s.recent[i] = u32()
	}
	s.ports = u32()
	s.used, s.next, s.turn, s.flags = b[0], b[1], b[2], b[3]
	b = b[4:]
	s.targets, s.protocols = u64(), u64()
	for i := range s.port {
		s.port[i] = u64()
	}
	for i := range s.stamp {
		s.stamp[i] = le.Uint16(b[2*i:])
	}
}
