// SPDX-License-Identifier: MIT

package rehearsal

import (
	"net/netip"
	"testing"
	"time"

	"picket/engine"
	"picket/internal/event"
	"picket/internal/probe"
)

var start = time.Unix(1_800_000_000, 0)

// from returns a probe at a time after the start.
func from(source string, after time.Duration) *probe.Probe {
	return &probe.Probe{At: start.Add(after).UnixNano(), Source: netip.MustParseAddr(source)}
}

func order(response engine.Action, source string, length time.Duration) *engine.Decision {
	return &engine.Decision{Action: response, Source: netip.MustParsePrefix(source), For: length}
}

// A block keeps off all packets of its source while it lasts. Packets of a fence and the dark
// are counted and still judged.
func TestRehearsal(t *testing.T) {
	r := New(start)
	note := func(d *engine.Decision) {
		r.Note(from(d.Source.Addr().String(), 0), d,
			&event.Event{Source: event.SourceName(d.Source), Reason: "a test"})
	}
	note(order(engine.Block, "192.0.2.9/32", time.Hour))
	note(order(engine.Block, "2001:db8:0:1::/64", time.Hour))
	note(order(engine.Fence, "192.0.2.10/32", time.Hour))
	for _, x := range []struct {
		source string
		after  time.Duration
		want   bool
	}{
		{"192.0.2.9", time.Minute, true},
		{"192.0.2.9", time.Hour, false},
		{"192.0.2.8", time.Minute, false},
		{"192.0.2.10", time.Minute, false}, // fenced
		{"2001:db8:0:1::7", time.Minute, true},
		{"2001:db8:0:2::7", time.Minute, false},
	} {
		if got := r.Blocks(from(x.source, x.after)); got != x.want {
			t.Errorf("%s after %v: %v, want %v", x.source, x.after, got, x.want)
		}
	}
	r.Wants(engine.Backscatter)
	r.Wants(engine.AboveTrigger)
	if got := r.Sum(); got.Sources != 3 || got.Unwanted != 3 || got.Kept != 3 || got.Blocks != nil {
		t.Errorf("%+v", got)
	}
	rows := r.Rows(start.Add(time.Minute))
	if len(rows) != 3 || rows[0].Remaining != 59*60 {
		t.Errorf("%+v", rows)
	}
	if rows := r.Rows(start.Add(2 * time.Hour)); len(rows) != 0 {
		t.Errorf("after their end: %+v", rows)
	}
}

// News come once, and only if something came.
func TestNews(t *testing.T) {
	r := New(start)
	if ev, ok := r.News(start); ok {
		t.Errorf("%+v", ev)
	}
	r.Note(from("192.0.2.9", 0), order(engine.Block, "192.0.2.9/32", time.Hour), &event.Event{})
	r.Wants(engine.AboveTrigger)
	r.Blocks(from("192.0.2.9", time.Second))
	ev, ok := r.News(start)
	if want := "1 of 2 unwanted probes would have been kept off, 50.0 % in this trial"; !ok ||
		ev.Reason != want || ev.Probes != 2 || ev.Drops != 1 {
		t.Errorf("%v: %+v, want %s", ok, ev, want)
	}
	if ev, ok := r.News(start); ok {
		t.Errorf("told twice: %+v", ev)
	}
}

// Beyond the bound responses are counted, not described. Ended ones make room. A response that
// the engine has given up for another one is gone.
func TestBound(t *testing.T) {
	r := New(start)
	for i := range most + 1 {
		source := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)
		r.Note(from("192.0.2.9", 0), &engine.Decision{Action: engine.Block, Source: source, For: time.Minute},
			&event.Event{})
	}
	if n := len(r.Rows(start)); n != most {
		t.Errorf("%d are described", n)
	}
	d := order(engine.Block, "192.0.2.9/32", time.Hour)
	d.Instead = netip.MustParsePrefix("10.0.0.1/32")
	r.Note(from("192.0.2.9", 0), d, &event.Event{})
	if r.Blocks(from("10.0.0.1", time.Second)) || !r.Blocks(from("10.0.0.2", time.Second)) {
		t.Error("the wrong one made room")
	}
	n := 0
	for response := range r.Ordered() {
		if n++; response != engine.Block || n == 10 {
			break
		}
	}
	if n != 10 || r.Sum().Sources != most {
		t.Errorf("%d ordered, %+v", n, r.Sum())
	}
	var none *Rehearsal
	if none.Blocks(from("192.0.2.9", 0)) {
		t.Error("no rehearsal keeps somebody off")
	}
}
