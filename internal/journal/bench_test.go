// SPDX-License-Identifier: MIT

package journal

import "testing"

// BenchmarkEvent is the cost of an event's words: the journal's fields, and the
// line without a journal.
func BenchmarkEvent(b *testing.B) {
	e := block()
	b.Run("fields", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Fields(e)
		}
	})
	b.Run("line", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Line(e)
		}
	})
}
