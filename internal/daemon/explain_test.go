// SPDX-License-Identifier: MIT

package daemon

import (
	"net/netip"
	"testing"
	"time"

	"picket/engine"
	"picket/internal/control"
	"picket/internal/event"
	"picket/internal/explain"
	"picket/internal/ledger"
)

// "blocks" and "explain" describe a block in the same way and in full.
func TestBlockIsToldAlike(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.Local)
	p := netip.MustParsePrefix("192.0.2.7/32")
	ev := event.Event{
		Reason: "above the trigger", Evidence: "26 different ports", Pattern: "portscan", Technique: "syn",
		Proven: true, Known: "mine", Country: "NL",
		Config: "tcp.trigger.advanced = 25", Protocol: "tcp", Port: 23,
	}
	b := &blocker{book: ledger.New()}
	b.book.Enter(ledger.Ref{Response: engine.Block, Source: p}, now.Add(-time.Minute),
		now.Add(90*time.Second+1), ev)
	want := control.Block{
		Source: p, Name: "192.0.2.7", Response: "block", Since: now.Add(-time.Minute),
		Expires: now.Add(90*time.Second + 1), Remaining: 91,
		Reason: "above the trigger", Evidence: "26 different ports", Pattern: "portscan", Technique: "syn",
		Proven: true, Known: "mine", Country: "NL",
	}
	f := &explain.Facts{Asked: p, Source: p, Now: now}
	b.facts(f)
	list := b.book.BySince()
	if rows := b.book.Rows(ledger.Rows{}, list, now); len(rows.Told) != 1 || rows.Told[0] != want ||
		rows.Kernel[0].Source != p {
		t.Errorf("blocks: %+v, want %+v", rows, want)
	}
	if len(f.Blocks) != 1 || f.Blocks[0].Block != want || f.Blocks[0].Config != ev.Config ||
		f.Blocks[0].Port != 23 {
		t.Errorf("explain: %+v, want %+v", f.Blocks, want)
	}
	if over := b.book.Get(ledger.Ref{Response: engine.Block,
		Source: p}).Row(now.Add(time.Hour)); over.Remaining != 0 {
		t.Errorf("a block that has ended has %d s left", over.Remaining)
	}
}
