// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
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
