// SPDX-License-Identifier: MIT

package daemon

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"picket/internal/allowed"
	"picket/internal/control"
)

// friend reports whether the kernel's sets of friends contain a prefix.
func (r *run) friend(p string) bool {
	synctest.Wait()
	r.kernel.mu.Lock()
	defer r.kernel.mu.Unlock()
	return slices.Contains(r.kernel.elements.Ignored, prefix(p))
}

func allow(length string, sources ...string) control.Request {
	return control.Request{Command: "allow", Sources: sources, For: length, Reason: "a test"}
}

// A friend by command is freed, cannot be blocked by hand, and is a friend until its time is over.
func TestAllow(t *testing.T) {
	running(t, plain, nil, func(r *run) {
		r.asks(control.Request{Command: "block", Source: "192.0.2.9", For: "1d"}, "")
		r.asks(allow("2h", "192.0.2.9", "198.51.100.0/24"), "")
		r.wants()
		r.told(1, "192.0.2.9 is allowed by command for 2h: a test")
		r.probes("192.0.2.9", 1000, 40)
		r.wants()
		r.asks(control.Request{Command: "block", Source: "198.51.100.7", For: "1h"},
			"198.51.100.0/24 is protected (allowed by command: a test). "+
				"To block it all the same, \"picket unallow 198.51.100.0/24\" first")
		// A shorter time changes nothing, a longer one does.
		out := r.asks(allow("1h", "192.0.2.9"), "").([]*control.Outcome)
		if !out[0].Kept || time.Until(out[0].Expires) != 2*time.Hour {
			t.Errorf("%+v", out)
		}
		out = r.asks(allow("", "198.51.100.0/24"), "").([]*control.Outcome)
		if out[0].Kept || !out[0].Expires.IsZero() {
			t.Errorf("%+v", out)
		}
		list := r.asks(control.Request{Command: "allowed"}, "").([]control.Allowed)
		if len(list) != 2 || list[0].Name != "192.0.2.9" || list[0].Remaining != 7200 ||
			list[1].Remaining != 0 || list[1].Reason != "a test" {
			t.Errorf("%+v", list)
		}
		time.Sleep(2*time.Hour - time.Second)
		if !r.friend("192.0.2.9/32") {
			t.Error("the friendship has ended early")
		}
		time.Sleep(2 * time.Second)
		if r.friend("192.0.2.9/32") || !r.friend("198.51.100.0/24") {
			t.Error("192.0.2.9 is a friend for good, or 198.51.100.0/24 is not a friend")
		}
		r.told(1, "192.0.2.9 is no longer allowed by command: its time is over")
		r.probes("192.0.2.9", 1000, 40)
		r.wants("192.0.2.9/32")
	})
}

func TestUnallow(t *testing.T) {
	running(t, plain, nil, func(r *run) {
		unallow := func(sources ...string) control.Request {
			return control.Request{Command: "unallow", Sources: sources}
		}
		r.asks(allow("", "0.0.0.0/0"), "is every address there is")
		r.asks(allow("", "nobody"), "no address or prefix")
		r.asks(allow("ever", "192.0.2.9"), "no duration")
		out := r.asks(allow("", "192.0.2.9", "nobody", "198.51.100.0/24"), "").([]*control.Outcome)
		if out[0].Error != "" || out[1].Error == "" || out[2].Error != "" {
			t.Errorf("a wrong source keeps others from being allowed: %+v", out)
		}
		r.asks(unallow("198.51.100.7"),
			`is allowed as part of 198.51.100.0/24: "picket unallow 198.51.100.0/24" ends that`)
		r.asks(unallow("203.0.113.7"), "is not allowed by command")
		r.asks(unallow("192.0.2.9"), "")
		r.told(1, "192.0.2.9 is no longer allowed by command")
		if r.friend("192.0.2.9/32") || !r.friend("198.51.100.0/24") {
			t.Error("the wrong source is a friend")
		}
		out = r.asks(control.Request{Command: "unallow", All: true}, "").([]*control.Outcome)
		if len(out) != 1 || r.friend("198.51.100.0/24") {
			t.Errorf("%+v", out)
		}
	})
}

// A friend by command outlives the daemon. One whose time is over does not come back.
func TestAllowedIsKept(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("STATE_DIRECTORY", dir)
	t.Setenv("NOTIFY_SOCKET", "")
	write(t, dir+"/picket.toml", strings.ReplaceAll(plain, "DIR", dir))
	synctest.Test(t, func(t *testing.T) {
		r := begin(t, dir+"/picket.toml", nil)
		r.asks(allow("1h", "192.0.2.9"), "")
		r.asks(allow("", "2001:db8:7::/48"), "")
		if err := r.finish(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		r = begin(t, dir+"/picket.toml", nil)
		if r.friend("192.0.2.9/32") || !r.friend("2001:db8:7::/48") {
			t.Errorf("friends: %v", r.daemon.friends)
		}
		if err := r.finish(); err != nil {
			t.Fatal(err)
		}
		write(t, allowed.File().Path, "nonsense")
		r = begin(t, dir+"/picket.toml", nil)
		r.told(1, "nobody is allowed by command: ")
		if err := r.finish(); err != nil {
			t.Fatal(err)
		}
		if err := allowed.File().Forget(); err != nil {
			t.Error(err)
		}
	})
}
