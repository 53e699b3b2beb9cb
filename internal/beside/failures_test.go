// SPDX-License-Identifier: MIT

package beside

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"picket/internal/config"
	"picket/internal/event"
	"picket/internal/history"
	"picket/internal/hook"
	"picket/internal/journal"
	"picket/internal/journal/journaltest"
	"picket/internal/resolve"
)

// TestCountTellsOfNamesNotLookedUp: a queue of one that nobody empties.
func TestCountTellsOfNamesNotLookedUp(t *testing.T) {
	l := &journaltest.Log{From: "2 names"}
	j := journal.NewLines(l)
	r := newHistory(config.Default(), j)
	r.names = resolve.New(resolve.Config{Queue: 1})
	for _, s := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} {
		r.names.Lookup(netip.MustParseAddr(s), func(string) {})
	}
	r.count(nil)
	r.count(nil) // once is enough
	j.Close()
	if got, want := l.Take(), []string{"2 names were not looked up: too many questions wait " +
		"already"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestCutOutputIsToldAsSuch: output that was cut says so.
func TestCutOutputIsToldAsSuch(t *testing.T) {
	for _, x := range []struct {
		cut  bool
		want string
	}{
		{false, "command for block of 192.0.2.1: exit status 1; it said: no | such"},
		{true, "command for block of 192.0.2.1: exit status 1; it said: no | such (and more, which is cut " +
			"off)"},
	} {
		l := &journaltest.Log{From: "command for"}
		j := journal.NewLines(l)
		failed := event.Event{Event: "block", Source: "192.0.2.1"}
		newCommands(config.Default(), j).result(hook.Result{Event: failed, Err: errors.New("exit status 1"),
			Output: "no\nsuch", Cut: x.cut})
		j.Close()
		if got := l.Take(); !slices.Equal(got, []string{x.want}) {
			t.Errorf("got %q, want %q", got, x.want)
		}
	}
}

// TestNameIsLookedUp: a record waits for the name of its source. If there is none, it is
// written without.
func TestNameIsLookedUp(t *testing.T) {
	c, err := config.Parse("picket.toml", []byte("[resolve]\nenable = true\n"))
	if err != nil {
		t.Fatal(err)
	}
	j := journal.NewLines(new(journaltest.Log))
	defer j.Close()
	r := newHistory(c, j)
	r.names = resolve.New(resolve.Config{Resolver: &net.Resolver{PreferGo: true,
		Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("no network in this test")
		}}})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.names.Run(ctx) }()
	r.decided(c, event.Event{Event: "probe", Action: "log", Source: "192.0.2.1"})
	r.record(c, event.Event{Event: "block", Source: "192.0.2.0/24"}, netip.MustParseAddr("192.0.2.1"))
	written := make(chan history.Record)
	go r.recorder.queue.Each(ctx, func(rec history.Record) { written <- rec })
	for range 2 {
		if rec := <-written; rec.Name != "" {
			t.Errorf("a name from nowhere: %+v", rec)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestNameComesNoMore: picket ends while a name is asked for, and the resolver is slow to notice.
func TestNameComesNoMore(t *testing.T) {
	file := t.TempDir() + "/history"
	c, err := config.Parse("picket.toml",
		[]byte("[resolve]\nenable = true\n[history]\nfile = \""+file+"\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		j := journal.NewLines(new(journaltest.Log))
		defer j.Close()
		r := newHistory(c, j)
		r.names = resolve.New(resolve.Config{Resolver: &net.Resolver{PreferGo: true,
			Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				time.Sleep(time.Millisecond)
				return nil, ctx.Err()
			}}})
		r.begin(c)
		ctx, cancel := context.WithCancel(t.Context())
		var tasks sync.WaitGroup
		for _, x := range r.tasks() {
			tasks.Go(func() { x.Run(ctx) })
		}
		r.decided(c, event.Event{Event: "block", Action: "block", Source: "192.0.2.1"})
		synctest.Wait()
		cancel()
		tasks.Wait()
	})
	if b, err := os.ReadFile(file); err != nil || !strings.Contains(string(b), `"source":"192.0.2.1"`) {
		t.Errorf("%v, %q", err, b)
	}
}
