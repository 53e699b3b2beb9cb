// SPDX-License-Identifier: MIT

package report

import (
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"picket/internal/event"
)

// FuzzScan: the scanner reads as encoding/json does, and reads what picket writes.
func FuzzScan(f *testing.F) {
	for _, e := range events {
		f.Add(lines(f, []event.Event{e}), false)
		f.Add(entries(f, []event.Event{e}), true)
		if _, ok := newScanner().event(lines(f, []event.Event{e}), false); !ok {
			f.Errorf("not read: %+v", e)
		}
		if _, ok := newScanner().event(entries(f, []event.Event{e}), true); !ok {
			f.Errorf("not read: %+v", e)
		}
	}
	f.Add([]byte(`{"event":"a","event":"b","port":07,"ports":["x"],"proven":truefalse}`), false)
	f.Add([]byte(`{"for_s":9223372036,"drops":18446744073709551615,"time":"2026-11-22T00:00:00.5+01:00"} x`),
		false)
	f.Fuzz(func(t *testing.T, line []byte, journal bool) {
		got, ok := newScanner().event(line, journal)
		if !ok {
			return
		}
		var want event.Event
		var err error
		if journal {
			want, err = parseJournal(line)
		} else {
			err = json.Unmarshal(line, &want)
		}
		if err != nil {
			t.Fatalf("%q is read, and is %v", line, err)
		}
		if d := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
			cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%q (-want +got):\n%s", line, d)
		}
	})
}
