// SPDX-License-Identifier: MIT

package beside

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"picket/internal/journal"
	"picket/internal/journal/journaltest"
)

// A brittle holder fails to be emptied at first.
type brittle struct {
	*journaltest.Log
	name  string
	fails int
}

func (b *brittle) Update(add, remove []netip.Prefix) error {
	b.Add("%s update %v %v", b.name, add, remove)
	return nil
}

func (b *brittle) Replace(all []netip.Prefix) error {
	b.Add("%s replace %v", b.name, all)
	return nil
}

func (b *brittle) Clear() error {
	if b.fails > 0 {
		b.fails--
		b.Add("%s fails", b.name)
		return errors.New("busy")
	}
	b.Add("%s clear", b.name)
	return nil
}

func (b *brittle) Close() { b.Add("%s close", b.name) }

// TestSyncerEmptiesWhatFailedAtFirst: a holder that could not be emptied is emptied later, and
// only then everything is in order again.
func TestSyncerEmptiesWhatFailedAtFirst(t *testing.T) {
	const told, over = "routes: busy", "routes: in order again"
	for _, x := range []struct {
		name       string
		old, first brittle
		fill       bool
		newer      bool // another holder is set after the first failure
		want       []string
	}{
		{"left by an earlier run", brittle{}, brittle{name: "a", fails: 2}, false, false, []string{
			"a fails", told, "a fails", "a clear", "a close", over}},
		{"filled so far", brittle{name: "old", fails: 1}, brittle{name: "a"}, true, false, []string{
			"old fails", told, "old clear", "old close", "a replace [192.0.2.1/32]", over, "a close"}},
		{"filled so far, and no longer wanted", brittle{name: "old", fails: 1}, brittle{name: "a", fails: 1},
			false, false, []string{
				"old fails", told, "old clear", "old close", "a fails", "a clear", "a close", over}},
		{"another is wanted since", brittle{name: "old", fails: 1}, brittle{name: "a"}, true, true, []string{
			"old fails", told, "a close", "old clear", "old close", "b replace [192.0.2.1/32]", over,
			"b close"}},
		{"picket stops before it worked", brittle{name: "old", fails: 1 << 20}, brittle{name: "a"}, true,
			false, []string{
				"old fails", told, "old fails", "old fails", "old fails", "old fails", "old close",
				"a close"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &journaltest.Log{From: "routes: "}
				x.old.Log, x.first.Log = l, l
				j := journal.NewLines(l)
				s := newSyncer("routes", j, 10*time.Millisecond)
				s.all = func(context.Context) ([]netip.Prefix, error) {
					return []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}, nil
				}
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() { _ = s.run(ctx); close(done) }()
				if x.old.name != "" {
					s.set(&x.old, true)
					time.Sleep(time.Second)
					l.Take()
				}
				s.set(&x.first, x.fill)
				time.Sleep(time.Second)
				if x.newer {
					s.set(&brittle{Log: l, name: "b"}, true)
				}
				time.Sleep(2 * time.Minute)
				cancel()
				<-done
				j.Close()
				if got := l.Take(); !slices.Equal(got, x.want) {
					t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(x.want, "\n"))
				}
			})
		})
	}
}
