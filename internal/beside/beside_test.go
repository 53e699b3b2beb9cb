// SPDX-License-Identifier: MIT

package beside

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"picket/internal/config"
	"picket/internal/event"
	"picket/internal/journal"
	"picket/internal/journal/journaltest"
	"picket/internal/route"
)

// A shelf is a routing table in memory.
type shelf struct {
	mu     sync.Mutex
	routes []string
	broken error
}

func (s *shelf) open(route.Config) (RouteTable, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return nil, s.broken
	}
	return s, nil
}

func (s *shelf) edit(f func([]string) []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.routes = f(s.routes)
	slices.Sort(s.routes)
	s.routes = slices.Compact(s.routes)
	return s.broken
}

func (s *shelf) Update(add, remove []netip.Prefix) error {
	return s.edit(func(r []string) []string {
		r = slices.DeleteFunc(r, func(x string) bool { return slices.Contains(texts(remove), x) })
		return append(r, texts(add)...)
	})
}

func (s *shelf) Replace(all []netip.Prefix) error {
	return s.edit(func([]string) []string { return texts(all) })
}

func (s *shelf) Clear() error { return s.edit(func([]string) []string { return nil }) }
func (s *shelf) Close()       {}

func (s *shelf) List() (out []netip.Prefix, err error) {
	err = s.edit(func(r []string) []string {
		for _, x := range r {
			out = append(out, netip.MustParsePrefix(x))
		}
		return r
	})
	return out, err
}

func texts(list []netip.Prefix) (out []string) {
	for _, p := range list {
		out = append(out, p.String())
	}
	return out
}

// A ledger is a book in memory.
type ledger struct {
	mu     sync.Mutex
	blocks []*Block
}

func (l *ledger) Sources(_ context.Context, ok func(*Block) bool) (out []netip.Prefix, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.blocks {
		if ok(b) {
			out = append(out, b.Source)
		}
	}
	return out, nil
}

// A scene is the actions and everything they act on.
type scene struct {
	*Set
	t      *testing.T
	dir    string
	shelf  *shelf
	ledger *ledger
	log    *journaltest.Log
}

const everything = `
[run]
command = ["DIR/hook"]
end = ["DIR/hook"]
[route]
type = "blackhole"
[hosts_deny]
line = "ALL: $TARGET$"
file = "DIR/deny"
[history]
file = "DIR/history"
blocked = "DIR/blocked"
`

func acting(t *testing.T, toml string, prepare, f func(*scene)) {
	t.Helper()
	dir := t.TempDir()
	hook := "#!/bin/sh\ngrep -o '\"event\":\"[a-z]*\"' >>" + dir + "/ran\n"
	if err := os.WriteFile(dir+"/hook", []byte(hook), 0o700); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s := &scene{t: t, dir: dir, shelf: new(shelf), ledger: new(ledger), log: new(journaltest.Log)}
		if prepare != nil {
			prepare(s)
		}
		j := journal.NewLines(s.log)
		s.Set = New(s.parse(toml), s.shelf.open, s.ledger, j)
		s.Start()
		s.Settle(t.Context())
		f(s)
		s.Stop()
		j.Close()
	})
}

func (s *scene) parse(toml string) *config.Config {
	s.t.Helper()
	c, err := config.Parse("picket.toml", []byte(strings.ReplaceAll(toml, "DIR", s.dir)))
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// block blocks a source, as proven or not.
func (s *scene) block(source string, proven bool) *Block {
	p := netip.MustParsePrefix(source)
	ev := event.Event{Event: "block", Time: time.Now(), Source: event.SourceName(p), Proven: proven,
		Action: "block", Protocol: "tcp", Port: 23}
	return s.put(&Block{Source: p, Event: ev})
}

// put blocks what b says.
func (s *scene) put(b *Block) *Block {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	if !slices.ContainsFunc(s.ledger.blocks, func(x *Block) bool { return x.Source == b.Source }) {
		s.ledger.blocks = append(s.ledger.blocks, b)
	}
	s.Blocked(b)
	return b
}

func (s *scene) end(b *Block) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	s.ledger.blocks = slices.DeleteFunc(s.ledger.blocks, func(x *Block) bool { return x == b })
	ev := b.Event
	ev.Event = "expire"
	s.Ended(b, ev)
}

// settled waits until gathered changes are handed over.
func (s *scene) settled() {
	time.Sleep(time.Second)
	synctest.Wait()
}

func (s *scene) wantRoutes(want ...string) {
	s.t.Helper()
	s.shelf.mu.Lock()
	defer s.shelf.mu.Unlock()
	if !slices.Equal(s.shelf.routes, want) {
		s.t.Errorf("routes %q, want %q", s.shelf.routes, want)
	}
}

// count checks the number of lines of a file with a text.
func (s *scene) count(file, text string, want int) {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, file))
	if err != nil && want > 0 {
		s.t.Error(err)
	}
	if n := strings.Count(string(b), text); n != want {
		s.t.Errorf("%s has %q %d times, want %d:\n%s", file, text, n, want, b)
	}
}

func (s *scene) wantTold(what string) {
	s.t.Helper()
	synctest.Wait()
	if lines := strings.Join(s.log.Take(), "\n"); !strings.Contains(lines, what) {
		s.t.Errorf("%q was not told:\n%s", what, lines)
	}
}

// Every action acts on a block that is proven or ordered, and is undone at its end. A block
// that may be forged has no route, and runs no command.
func TestBesideABlock(t *testing.T) {
	acting(t, everything, nil, func(s *scene) {
		proven, other := s.block("192.0.2.7/32", true), s.block("192.0.2.8/32", false)
		ordered := s.put(&Block{Source: netip.MustParsePrefix("198.51.100.0/24"), Maker: event.ByHand,
			Event: event.Event{Event: "block", Source: "198.51.100.0/24"}})
		s.put(&Block{Source: netip.MustParsePrefix("192.0.2.7/32"), Renewed: true, Commanded: true,
			Event: proven.Event})
		s.settled()
		s.wantRoutes("192.0.2.7/32", "198.51.100.0/24")
		s.count("deny", "ALL: ", 3)
		s.count("ran", "block", 2)
		s.end(proven)
		s.end(other)
		s.end(ordered)
		s.settled()
		s.wantRoutes()
		s.count("deny", "ALL: ", 0)
		s.count("ran", "expire", 2)
		s.Stop()
		s.count("history", `"event":"block"`, 3)
		s.count("history", `"event":"expire"`, 3)
		s.count("blocked", "Host: 192.0.2.7/", 1)
	})
}

// Routes that an earlier run left beside blocks in force stay until the block ends, whatever
// the configuration says about new ones.
func TestSettle(t *testing.T) {
	acting(t, everything, func(s *scene) {
		s.shelf.routes = []string{"192.0.2.8/32", "203.0.113.1/32"}
		b := &Block{Source: netip.MustParsePrefix("192.0.2.8/32"), Maker: event.Earlier}
		s.ledger.blocks = []*Block{b, {Source: netip.MustParsePrefix("192.0.2.9/32")}}
	}, func(s *scene) {
		s.settled()
		s.wantRoutes("192.0.2.8/32")
		s.count("deny", "ALL: ", 2)
		s.end(s.ledger.blocks[0])
		s.settled()
		s.wantRoutes()
		s.block("192.0.2.8/32", false) // an ordinary one now
		s.settled()
		s.wantRoutes()
	})
}

// Another configuration removes what it does not want. A dry run adds nothing, and removes each
// thing with its block.
func TestConfigure(t *testing.T) {
	acting(t, everything, nil, func(s *scene) {
		b := s.block("192.0.2.7/32", true)
		s.settled()
		s.Configure(s.parse(strings.ReplaceAll(everything, `type = "blackhole"`, "")))
		s.settled()
		s.wantRoutes()
		s.Configure(s.parse("dry_run = true\n" + everything))
		s.block("192.0.2.8/32", true)
		s.Reopen()
		if s.Before(b, func() {}) || s.Every() {
			t.Error("a dry run runs commands")
		}
		s.Decided(event.Event{Action: "run"})
		s.settled()
		s.count("deny", "ALL: ", 1)
		s.end(b)
		s.settled()
		s.count("deny", "ALL: ", 0)
		s.shelf.broken = errors.New("taken by another")
		s.Configure(s.parse(everything))
		s.wantTold("routes: taken by another")
		s.shelf.broken = nil
		s.Configure(s.parse(everything)) // the same again: what failed is retried
		s.settled()
		s.wantRoutes("192.0.2.8/32")
	})
}

// What others have removed comes back, and files that were moved are made again.
func TestReopen(t *testing.T) {
	acting(t, everything, nil, func(s *scene) {
		s.block("192.0.2.7/32", true)
		s.settled()
		if err := errors.Join(os.Remove(s.dir+"/deny"), os.Rename(s.dir+"/history", s.dir+"/old"),
			s.shelf.Clear()); err != nil {
			t.Fatal(err)
		}
		s.Reopen()
		s.settled()
		s.wantRoutes("192.0.2.7/32")
		s.count("deny", "ALL: ", 1)
		s.block("192.0.2.8/32", true)
		s.Stop()
		s.count("history", "192.0.2.8", 1)
	})
}

// Bounds do not change, and their keys are named.
func TestFixed(t *testing.T) {
	acting(t, everything, nil, func(s *scene) {
		c := s.parse(strings.Replace(everything, "[run]\n", "[run]\nqueue = 7\n", 1) +
			"[resolve]\nenable = true\nkeep = \"1m\"\n")
		if got, want := s.Fixed(c), "run.timeout, run.parallel, run.queue and the bounds of "+
			"[resolve]"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if was := s.config.Load(); c.Run.Queue != was.Run.Queue || c.Resolve.Keep != was.Resolve.Keep ||
			!c.Resolve.Enable {
			t.Errorf("%+v, %+v", c.Run, c.Resolve)
		}
		if got := s.Fixed(s.parse(everything)); got != "" {
			t.Errorf("the same configuration: %q", got)
		}
	})
}

// A command in place of a block, again, and ahead of one.
func TestCommands(t *testing.T) {
	acting(t, everything+"[tcp]\naction = \"run\"\n", nil, func(s *scene) {
		s.Decided(event.Event{Event: "probe", Action: "run", Source: "192.0.2.7"})
		s.Decided(event.Event{Event: "probe", Action: "log", Source: "192.0.2.7"})
		s.Again(event.Event{Event: "probe", Source: "192.0.2.7"})
		s.settled()
		s.count("ran", "probe", 2)
		b := &Block{Event: event.Event{Event: "block", Proven: true}}
		if s.Before(b, func() {}) {
			t.Error("the command comes after the block")
		}
		s.Configure(s.parse(strings.Replace(everything, "[run]\n", "[run]\nwhen = \"before\"\nevery = true\n",
			1)))
		done := make(chan bool, 1)
		if !s.Before(b, func() { done <- true }) || !s.Every() {
			t.Error("the command comes before the block")
		}
		<-done
		s.count("ran", "block", 1)
		if s.Before(&Block{}, func() {}) || s.Before(&Block{Maker: event.ByHand}, func() {}) {
			t.Error("unproven or ordered, and a command ahead")
		}
	})
}

// What did not fit is reported; of many failures only the number is.
func TestLeftOut(t *testing.T) {
	broken := strings.ReplaceAll(everything, "DIR/hook", "DIR/missing")
	acting(t, broken, nil, func(s *scene) {
		for i := range failuresTold + 2 {
			s.block(fmt.Sprintf("192.0.2.%d/32", i), true)
		}
		time.Sleep(countEvery + time.Second)
		s.wantTold("2 more commands failed")
		s.Stop()
		for range s.config.Load().Run.Queue + 3 { // nobody empties the queue
			s.commands.again(event.Event{Event: "probe"})
		}
		s.commands.count(s.config.Load())
		s.wantTold("3 commands were not run: ")
	})
}

// Remove undoes everything, and reports what it could not undo.
func TestRemove(t *testing.T) {
	acting(t, everything, nil, func(s *scene) {
		s.block("192.0.2.7/32", true)
		s.settled()
		s.Stop()
		var out strings.Builder
		two := []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("192.0.2.8/32")}
		c := s.parse(everything)
		if err := s.remove(&out, c, two); err != nil ||
			!strings.HasPrefix(out.String(), "removed 1 routes of table ") || !Ends(c) {
			t.Errorf("%v, %q", err, out.String())
		}
		s.wantRoutes()
		s.count("deny", "ALL: ", 0)
		s.count("ran", "unblock", 2)
		s.shelf.broken = errors.New("no netlink")
		err := s.remove(&out, s.parse(strings.ReplaceAll(everything, "DIR/hook", "DIR/missing")), two)
		for _, want := range []string{"no netlink", "run.end failed for 2 of 2 blocks"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		}
	})
}
