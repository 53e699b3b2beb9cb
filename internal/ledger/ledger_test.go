// SPDX-License-Identifier: MIT

package ledger

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"picket/engine"
	"picket/internal/event"
	"picket/nft"
)

func TestNotBlocked(t *testing.T) {
	book := New()
	for _, p := range []string{"198.51.100.0/24", "198.51.0.0/16", "203.0.113.9/32", "2001:db8:0:1::/64"} {
		book.Enter(Ref{engine.Block, netip.MustParsePrefix(p)}, time.Time{}, time.Time{}, event.Event{})
	}
	for p, want := range map[string]string{
		"198.51.100.10/32":    "198.51.100.10 of 198.51.100.0/24",
		"198.51.7.0/24":       "198.51.7.0/24 of 198.51.0.0/16",
		"2001:db8:0:1::9/128": "2001:db8:0:1::9 of 2001:db8:0:1::/64",
		"203.0.113.0/24":      "203.0.113.0/24",
		"2001:db8:0:2::9/128": "2001:db8:0:2::9",
	} {
		source, whole, part := strings.Cut(want, " of ")
		want = source + ` is not blocked: "picket blocks" lists who is`
		if strings.Contains(source, "/") {
			want = source + ` is not blocked as a whole: "picket blocks --within ` + source +
				`" lists who is in it`
		}
		if part {
			want = source + " is blocked as part of " + whole + ": \"picket unblock " + whole + "\" ends that"
		}
		if got := book.NotBlocked(netip.MustParsePrefix(p)).Error(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// Next is the response that ends first, after entries, changes of the end and removals. A set
// clock changes neither the order nor the times left.
func TestBook(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	b := New()
	enter := func(response engine.Action, source string, length time.Duration) {
		r := Ref{response, netip.MustParsePrefix(source)}
		e := b.Enter(r, now, now.Add(length), event.Event{})
		if got := Of(new(e.InKernel(length))); got != r || b.Get(r) != e ||
			!b.Renews(e.InKernel(0).Response, r.Source) {
			t.Errorf("%v is %v in the kernel", r, got)
		}
	}
	enter(engine.Block, "192.0.2.9/32", 3*time.Hour)
	enter(engine.Fence, "192.0.2.9/32", time.Hour)
	enter(engine.Dark, "192.0.2.8/32", 2*time.Hour)
	enter(engine.Fence, "192.0.2.9/32", 4*time.Hour)
	if n := len(b.Matching(netip.MustParsePrefix("192.0.2.9/32"))); n != 2 || b.Len() != 3 ||
		len(b.Matching(netip.Prefix{})) != 3 {
		t.Errorf("%d of 2 match, %d in all", n, b.Len())
	}
	before := b.Changes()
	now = now.Add(24 * time.Hour)
	b.SetClock(now)
	if b.Changes() == before {
		t.Error("a set clock changes nothing that is to be saved")
	}
	var got []string
	for e := b.Next(); e != nil; e = b.Next() {
		got = append(got, e.Ref().Verb()+" "+e.Ref().Noun()+" "+e.Until.Sub(e.Since).String())
		b.Strike(e)
	}
	if want := []string{"darken darkness 2h0m0s", "block block 3h0m0s",
		"fence fence 4h0m0s"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// A list that was read before has what is still in the book, also after other responses have taken
// the places, and room that is used again has nothing of the list before.
func TestListsWhileTheBookChanges(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	b := New()
	enter := func(last byte) {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, last}), 32)
		b.Enter(Ref{engine.Block, p}, now, now.Add(time.Hour+time.Duration(last)*time.Second), event.Event{})
	}
	for last := range byte(8) {
		enter(last)
	}
	dated, entries := b.BySince(), b.Entries()
	r := b.Rows(Rows{}, dated, now)
	if len(r.Told) != 8 || len(r.Kernel) != 8 {
		t.Fatalf("%d and %d of 8 are listed", len(r.Told), len(r.Kernel))
	}
	left := map[string]bool{}
	for i, e := range entries {
		if i%2 == 0 {
			b.Strike(e)
			enter(e.Source.Addr().As4()[3]) // the same source, in a response of its own
		} else {
			left[event.SourceName(e.Source)] = true
		}
	}
	r = b.Rows(r, dated, now)
	for i := range r.Told {
		if !left[r.Told[i].Name] || r.Kernel[i].Source != r.Told[i].Source {
			t.Errorf("%s is listed, with %s in the kernel", r.Told[i].Name, r.Kernel[i].Source)
		}
	}
	if n := len(left); len(r.Told) != n || len(b.InKernel(entries)) != n || len(b.Saved(entries)) != n {
		t.Errorf("%d, %d and %d of %d are left", len(r.Told), len(b.InKernel(entries)),
			len(b.Saved(entries)), n)
	}
}

// A counter that starts again, in a new table, is added. A response that is not in the book is
// ignored.
func TestDrops(t *testing.T) {
	b := New()
	r := Ref{engine.Block, netip.MustParsePrefix("192.0.2.9/32")}
	e := b.Enter(r, time.Time{}, time.Time{}, event.Event{Proven: true})
	for _, n := range []uint64{0, 5, 5, 9, 2, 3, 0, 1} {
		x := r.InKernel(0)
		x.Drops = n
		b.Dropped([]nft.Block{x, {Response: nft.Dark, Source: r.Source, Drops: 99}})
	}
	if e.Drops() != 9+3+1 || !e.Proven() {
		t.Errorf("%d, want 13", e.Drops())
	}
}
