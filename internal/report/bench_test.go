// SPDX-License-Identifier: MIT

package report

import (
	"bytes"
	"fmt"
	"testing"

	"picket/internal/event"
)

// BenchmarkRead measures an event from its line to the count.
func BenchmarkRead(b *testing.B) {
	var list []event.Event
	for i := range 10_000 {
		list = append(list, eventOf(fmt.Sprintf("2001:db8::%x", i%1000), uint32(i), nil))
	}
	for name, text := range map[string][]byte{"file": lines(b, list), "journal": entries(b, list)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for n := 0; n < b.N; n += len(list) {
				c := New()
				if err := Read(bytes.NewReader(text), false, c.Add); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
