// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"

	"picket/internal/event"
	"picket/internal/hook"
	"picket/internal/journal"
	"picket/internal/resolve"
)

// failing returns actions that only tell.
func failing(from string) (*actions, *log) {
	l := &log{from: from}
	a := &actions{journal: journal.NewLines(l), runner: hook.New(hook.Config{}), names: resolve.New(resolve.Config{Queue: 1})}
	a.recorder = newRecorder(a.journal)
	a.failures.journal = a.journal
	return a, l
}

// TestCountTellsOfNamesNotLookedUp: nobody takes questions off this queue of one.
func TestCountTellsOfNamesNotLookedUp(t *testing.T) {
	a, l := failing("2 names")
	for _, s := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} {
		a.names.Lookup(netip.MustParseAddr(s), func(string) {})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a.count(ctx)
	a.journal.Close()
	if got, want := l.take(), []string{"2 names were not looked up: too many questions wait already"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestCutOutputIsToldAsSuch: what is cut does not read as all that was said.
func TestCutOutputIsToldAsSuch(t *testing.T) {
	for _, x := range []struct {
		cut  bool
		want string
	}{
		{false, "command for block of 192.0.2.1: exit status 1; it said: no | such"},
		{true, "command for block of 192.0.2.1: exit status 1; it said: no | such (and more, which is cut off)"},
	} {
		a, l := failing("command for")
		a.result(hook.Result{Event: event.Event{Event: "block", Source: "192.0.2.1"}, Err: errors.New("exit status 1"), Output: "no\nsuch", Cut: x.cut})
		a.journal.Close()
		if got := l.take(); !slices.Equal(got, []string{x.want}) {
			t.Errorf("got %q, want %q", got, x.want)
		}
	}
}
