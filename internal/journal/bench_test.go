// SPDX-License-Identifier: MIT

package journal

import "testing"

// What the words of one event cost: the journal's fields, and the line of
// where there is no journal.
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
