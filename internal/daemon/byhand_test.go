// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"picket/engine"
	"picket/internal/control"
	"picket/internal/host"
	"picket/internal/ledger"
)

// A wrong source, a friend and a source that the kernel refuses do not prevent the blocks of the
// others in the same order.
func TestManyByHand(t *testing.T) {
	friends := func(k *kernel) {
		k.friends = []host.Friend{{Prefix: prefix("192.0.2.1/32"), Why: "gateway"}}
		k.refused[prefix("192.0.2.8/32")] = true
	}
	running(t, plain, friends, func(r *run) {
		block := control.Request{Command: "block", For: "1h",
			Sources: []string{"192.0.2.7", "192.0.2.1", "nobody", "192.0.2.8", "192.0.2.9", "192.0.2.7/32"}}
		out := r.asks(block, "").([]*control.Outcome)
		r.wants("192.0.2.7/32", "192.0.2.9/32")
		for i, wrong := range []bool{false, true, true, true, false} {
			if (out[i].Error != "") != wrong {
				t.Errorf("%+v", out[i])
			}
		}
		if len(out) != 5 {
			t.Errorf("%d outcomes", len(out))
		}
		out = r.asks(control.Request{Command: "unblock", Sources: []string{"192.0.2.7", "192.0.2.6"}},
			"").([]*control.Outcome)
		if out[0].Error != "" || out[1].Error == "" {
			t.Errorf("%+v, %+v", out[0], out[1])
		}
		r.wants("192.0.2.9/32")
	})
}

// A block by hand never shortens another one. A block for ever has no end.
func TestNeverShorter(t *testing.T) {
	running(t, plain, nil, func(r *run) {
		block := func(length string) *control.Outcome {
			return r.asks(control.Request{Command: "block", Source: "192.0.2.9", For: length},
				"").([]*control.Outcome)[0]
		}
		block("2h")
		if o := block("1h"); !o.Kept || time.Until(o.Expires) != 2*time.Hour {
			t.Errorf("%+v", o)
		}
		if o := block("3h"); o.Kept {
			t.Errorf("%+v", o)
		}
		time.Sleep(2*time.Hour + time.Second)
		r.wants("192.0.2.9/32")
		if o := block("forever"); time.Until(o.Expires) != 36500*24*time.Hour {
			t.Errorf("%+v", o)
		}
	})
}

// Ten thousand sources are one request, and one line of the journal.
func TestTenThousandByHand(t *testing.T) {
	running(t, plain, nil, func(r *run) {
		q := control.Request{Command: "block", For: "1h", Reason: "a list"}
		for i := range 10_000 {
			q.Sources = append(q.Sources, fmt.Sprintf("203.%d.%d.%d", i>>16, i>>8&255, i&255))
		}
		r.log.Take()
		r.asks(q, "")
		if n := len(r.blocked()); n != 10_000 {
			t.Errorf("%d are blocked", n)
		}
		r.told(1, "10000 sources are blocked by hand for 1h: a list")
		if out := r.asks(control.Request{Command: "unblock", Sources: q.Sources},
			"").([]*control.Outcome); len(out) != 10_000 || out[9999].Error != "" {
			t.Errorf("%d outcomes", len(out))
		}
		r.wants()
	})
}

func TestPeersAmong(t *testing.T) {
	running(t, plain, nil, func(r *run) {
		r.kernel.with(func() {
			r.kernel.peers = []netip.Addr{netip.MustParseAddr("192.0.2.7"),
				netip.MustParseAddr("2001:db8::7")}
		})
		got := r.asks(control.Request{Command: "connected",
			Sources: []string{"192.0.2.8", "192.0.2.0/24", "2001:db8::7"}}, "")
		if fmt.Sprint(got) != "[192.0.2.0/24 2001:db8::7]" {
			t.Error(got)
		}
	})
}

// A block that waited for others ends at the time of its order, in the kernel too.
func TestBlockByHandEndsAsTold(t *testing.T) {
	running(t, plain, nil, func(r *run) {
		w := &handWork{blockWork{Ref: ledger.Ref{Response: engine.Block, Source: prefix("192.0.2.7/32")},
			length: time.Hour}, new(control.Outcome)}
		ordered := time.Now().Add(-time.Minute)
		if err := r.orders.byHand(context.Background(), []*handWork{w}, ordered); err != nil ||
			w.outcome.Error != "" {
			t.Fatal(err, w.outcome.Error)
		}
		r.kernel.with(func() {
			if end := r.ends[w.Source]; !end.Equal(ordered.Add(time.Hour)) {
				t.Errorf("ordered at %v, it ends at %v", ordered, end)
			}
		})
	})
}

// A list that is read while blocks come and go has each that stays, once and with its own counter;
// it has none twice, and none that ended before its part. It breaks off when its reader does, or the
// daemon ends.
func TestListWhileBlocksComeAndGo(t *testing.T) {
	running(t, plain, nil, func(r *run) {
		source := func(i int) string { return fmt.Sprintf("198.18.%d.%d", i/256, i%256) }
		block := control.Request{Command: "block", For: "1h"}
		for i := range 4*batch + 7 {
			block.Sources = append(block.Sources, source(i))
		}
		r.asks(block, "")
		list := func(ctx context.Context, send func(any) error) error {
			out, err := r.answer(ctx, control.Request{Command: "blocks"})
			if err != nil {
				t.Fatal(err)
			}
			return out.(control.Stream)(send)
		}
		told := map[string]int{}
		if err := list(r.t.Context(), func(v any) error {
			row := v.(*control.Block)
			if told[row.Name]++; row.Drops != 7 || row.Remaining != 3600 || row.Response != "block" {
				t.Errorf("%+v", row)
			}
			if i := len(told); i%100 == 0 { // the places of those that go are taken at once
				names := []string{source(i / 2), source(2*batch + i/2)}
				r.asks(control.Request{Command: "unblock", Sources: names}, "")
				r.asks(control.Request{Command: "block", For: "2h", Sources: names}, "")
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		again := 0
		for i, name := range block.Sources {
			switch n := told[name]; {
			case n == 0 && i%50 == 0: // it went before its part, and came back as another block
				again++
			case n != 1:
				t.Errorf("%s is listed %d times", name, n)
			}
		}
		if again == 0 || again > 40 || len(told)+again != len(block.Sources) {
			t.Errorf("%d are listed and %d came later, of %d", len(told), again, len(block.Sources))
		}
		enough := errors.New("enough")
		n := 0
		err := list(r.t.Context(), func(any) error { n++; return enough })
		if !errors.Is(err, enough) || n != 1 {
			t.Errorf("after one it said %v, having listed %d", err, n)
		}
		ctx, cancel := context.WithCancel(r.t.Context())
		n = 0
		err = list(ctx, func(any) error { n++; cancel(); return nil })
		if err == nil || n > batch {
			t.Errorf("when the daemon ended it said %v, having listed %d", err, n)
		}
	})
}
