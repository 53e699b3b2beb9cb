// SPDX-License-Identifier: MIT

package ledger

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"picket/engine"
	"picket/internal/event"
)

// TestBound: no clock makes a block last longer than it was granted.
func TestBound(t *testing.T) {
	saved := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	p := netip.MustParsePrefix("192.0.2.7/32")
	for _, test := range []struct {
		name  string
		clock time.Duration // the clock's difference since the save
		want  time.Duration // time left of the hour
	}{
		{"at once", 0, time.Hour},
		{"later", 20 * time.Minute, 40 * time.Minute},
		{"over", time.Hour, 0},
		{"a clock without a battery", -50 * 365 * 24 * time.Hour, time.Hour},
		{"a clock set back by less", -time.Minute, time.Hour},
	} {
		now := saved.Add(test.clock)
		k := Saved{Source: p, Since: saved, Until: saved.Add(time.Hour)}
		if ok := k.bound(now); ok != (test.want > 0) {
			t.Errorf("%s: in force %v", test.name, ok)
		} else if ok && (k.Until.Sub(now) != test.want || k.Since.After(now)) {
			t.Errorf("%s: from %v to %v at %v", test.name, k.Since, k.Until, now)
		}
	}
	if k := (Saved{Since: saved, Until: saved.Add(time.Hour)}); k.bound(saved) {
		t.Error("a block of nobody is in force")
	}
}

// Blocks with the same reason share its text. The number of texts to search is bounded.
func TestShare(t *testing.T) {
	words := make(map[string]string)
	for i := range 2 * mostWords {
		k := Saved{Reason: strings.Clone("above the trigger"), Evidence: strconv.Itoa(i), Tool: ""}
		k.share(words)
		if k.Reason != "above the trigger" || k.Evidence != strconv.Itoa(i) || k.Tool != "" {
			t.Fatalf("%+v", k)
		}
		if first := words[k.Reason]; unsafe.StringData(first) != unsafe.StringData(k.Reason) {
			t.Fatal("a text of its own")
		}
	}
	if len(words) != mostWords {
		t.Errorf("%d texts", len(words))
	}
}

// full returns a book with a response of each kind, and its contents for the file.
func full(t *testing.T, now time.Time) (*Book, *Contents) {
	t.Helper()
	b := New()
	ev := event.Event{
		Event: "block", Time: now, Source: "192.0.2.9", For: 3600, Reason: "above the trigger",
		Evidence: "26 ports",
		Pattern:  "portscan", Technique: "syn", Tool: "nmap", Proven: true, Protocol: "tcp", Port: 23,
		Mode:   "advanced",
		Config: "tcp.trigger.advanced = 25", Known: "mine", Country: "NL",
	}
	for _, response := range responses {
		ev.Action = response.String()
		e := b.Enter(Ref{response, netip.MustParsePrefix("192.0.2.9/32")}, now, now.Add(time.Hour), ev)
		e.Maker, e.Commanded = event.Outside, true
	}
	x, err := engine.New(engine.Config{Sources: 16}, 1)
	if err != nil {
		t.Fatal(err)
	}
	return b, &Contents{
		Entries: func() ([]*Entry, error) { return b.Entries(), nil },
		Saved:   func(list []*Entry) ([]Saved, error) { return b.Saved(list), nil },
		Memory:  func() (engine.Memory, error) { return x.Memory(), nil },
		Next: func(m *engine.Memory, to []byte) (part []byte, more bool, err error) {
			part, more = m.Next(to)
			return part, more, nil
		},
	}
}

// A response is read as it was written. One that was struck meanwhile, or has ended, is not.
func TestWriteRead(t *testing.T) {
	now := time.Now().Truncate(0)
	book, contents := full(t, now)
	var file bytes.Buffer
	if err := contents.Write(&file); err != nil {
		t.Fatal(err)
	}
	again, parts := New(), 0
	err := Read(&file, func(list []Saved) error {
		for _, k := range list {
			e := again.Enter(k.Ref(), k.Since, k.Until, k.Event())
			e.Maker, e.Commanded = k.Maker, k.Commanded
		}
		return nil
	}, func([]byte) error { parts++; return nil })
	if err != nil || parts == 0 || again.Len() != len(responses) {
		t.Fatalf("%v, %d parts, %d responses", err, parts, again.Len())
	}
	for e := range book.All() {
		got := again.Get(e.Ref())
		if diff := cmp.Diff(e.Block(), got.Block(),
			cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmp.Comparer(func(a,
				b netip.Addr) bool {
				return a == b
			})); diff != "" {
			t.Error(diff)
		}
	}
	book.Strike(book.Next())
	if left := book.Saved(again.Entries()); len(left) != 0 {
		t.Errorf("saved of another book: %v", left)
	}
	file.Reset()
	if err := contents.Write(&file); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if err := Read(bytes.NewReader(file.Bytes()), func([]Saved) error {
		return broken
	}, nil); !errors.Is(err, broken) {
		t.Error(err)
	}
	if err := Read(bytes.NewReader(file.Bytes()), func([]Saved) error { return nil }, func([]byte) error {
		return broken
	}); !errors.Is(err, broken) {
		t.Error(err)
	}
	if err := Read(bytes.NewReader(file.Bytes()[:file.Len()/2]), func([]Saved) error { return nil },
		func([]byte) error { return nil }); err == nil {
		t.Error("half a file is read")
	}
}

// Every failure ends the writing.
func TestWriteFails(t *testing.T) {
	broken := errors.New("broken")
	for name, breaks := range map[string]func(*Contents){
		"entries": func(c *Contents) { c.Entries = func() ([]*Entry, error) { return nil, broken } },
		"saved":   func(c *Contents) { c.Saved = func([]*Entry) ([]Saved, error) { return nil, broken } },
		"memory": func(c *Contents) {
			c.Memory = func() (engine.Memory, error) {
				return engine.Memory{}, broken
			}
		},
		"next": func(c *Contents) {
			c.Next = func(*engine.Memory, []byte) ([]byte, bool, error) { return nil, false, broken }
		},
	} {
		_, contents := full(t, time.Now())
		breaks(contents)
		if err := contents.Write(io.Discard); !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// In the file of a picket without other responses, each response is a block.
func TestSavedBlocks(t *testing.T) {
	if got := new(Saved).Ref().Response; got != engine.Block {
		t.Error(got)
	}
}
