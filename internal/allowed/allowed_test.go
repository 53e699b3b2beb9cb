// SPDX-License-Identifier: MIT

package allowed

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"picket/internal/control"
	"picket/internal/journal"
	"picket/internal/journal/journaltest"
)

// errRefused is the error of a kernel that takes no list.
var errRefused = errors.New("the kernel refuses")

// begin returns a keeper with a file of the test, the list that it has put into force,
// and its journal. While refuse is set nothing is put into force.
func begin(t *testing.T, refuse *atomic.Bool) (*Keeper, *atomic.Pointer[List], *journaltest.Log) {
	t.Helper()
	if os.Getenv("STATE_DIRECTORY") == "" {
		t.Setenv("STATE_DIRECTORY", t.TempDir())
	}
	log := &journaltest.Log{From: "allowed"}
	w := journal.NewLines(log)
	t.Cleanup(w.Close)
	inForce := new(atomic.Pointer[List])
	inForce.Store(&List{})
	return New(func(_ context.Context, l List) error {
		if refuse.Load() {
			return errRefused
		}
		inForce.Store(&l)
		return nil
	}, w), inForce, log
}

func request(length string, sources ...string) control.Request {
	return control.Request{Command: "allow", Sources: sources, For: length}
}

// A change that cannot be put into force changes nothing. Any other is reported, listed,
// and kept for the next start.
func TestKeeper(t *testing.T) {
	t.Setenv("STATE_DIRECTORY", t.TempDir())
	var refuse atomic.Bool
	refuse.Store(true)
	k, inForce, _ := begin(t, &refuse)
	if _, err := k.Allow(t.Context(), request("", "192.0.2.9")); !errors.Is(err, errRefused) ||
		len(k.List(time.Now())) != 0 {
		t.Errorf("%v, %v", err, k.List(time.Now()))
	}
	refuse.Store(false)
	for _, x := range []struct {
		request control.Request
		want    string // the error, or what is kept
	}{
		{request("", "192.0.2.9", "2001:db8::/48"), ""},
		{request("1h", "192.0.2.9"), "kept"},
		{request("1h", "198.51.100.7"), ""},
		{request("2h", "198.51.100.7"), ""},
		{request("1h", "198.51.100.7"), "kept"},
		{request("soon", "198.51.100.7"), "duration"},
		{request("", "0.0.0.0/0"), "is every address there is"},
	} {
		out, err := k.Allow(t.Context(), x.request)
		switch {
		case x.want == "kept":
			if err != nil || !out[0].Kept {
				t.Errorf("%+v: %v, %+v", x.request, err, out)
			}
		case (x.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), x.want):
			t.Errorf("%+v: %v, want %q", x.request, err, x.want)
		}
	}
	if l := *inForce.Load(); len(l) != 3 {
		t.Errorf("in force: %v", l)
	}
	again, _, _ := begin(t, new(atomic.Bool))
	if got := again.Recall(time.Now().Add(3 * time.Hour)); len(got) != 2 {
		t.Errorf("after three hours: %v", got)
	}
}

// A list has room for so many and no more, and one that is in it may change.
func TestMost(t *testing.T) {
	l := List{}
	for i := range most {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
		l[p] = Friend{Source: p}
	}
	out := &control.Outcome{Name: "192.0.2.9"}
	if err := l.add(Friend{Source: netip.MustParsePrefix("192.0.2.9/32")}, out); err == nil {
		t.Error("there is no bound")
	}
	if err := l.add(Friend{Source: netip.MustParsePrefix("10.0.0.9/32"), Reason: "new"}, out); err != nil ||
		l[netip.MustParsePrefix("10.0.0.9/32")].Reason != "new" {
		t.Error("who is in it cannot change", err)
	}
}

// A friendship ends at its time, but not before the end can be put into force. An address
// alone cannot be taken out of a prefix; the error names the prefix.
func TestEnds(t *testing.T) {
	t.Setenv("STATE_DIRECTORY", t.TempDir())
	synctest.Test(t, func(t *testing.T) {
		var refuse atomic.Bool
		k, inForce, _ := begin(t, &refuse)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- k.Watch(ctx) }()
		if _, err := k.Allow(ctx, request("1h", "198.51.100.0/24", "192.0.2.9")); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Unallow(ctx, request("", "198.51.100.7")); err == nil ||
			!strings.Contains(err.Error(), "as part of 198.51.100.0/24") {
			t.Error(err)
		}
		if _, err := k.Unallow(ctx, request("", "192.0.2.9")); err != nil || len(*inForce.Load()) != 1 {
			t.Errorf("%v, %v", err, *inForce.Load())
		}
		refuse.Store(true)
		time.Sleep(time.Hour + time.Minute)
		synctest.Wait()
		if len(*inForce.Load()) != 1 {
			t.Error("it has ended although it could not")
		}
		refuse.Store(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(*inForce.Load()) != 0 || len(k.List(time.Now())) != 0 {
			t.Errorf("it goes on: %v", *inForce.Load())
		}
		if out, err := k.Unallow(ctx, control.Request{All: true}); err != nil || len(out) != 0 {
			t.Errorf("all of none: %v, %v", out, err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
