// SPDX-License-Identifier: MIT

package lab

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// longConfig blocks for longer than a test, unproven sources included.
func longConfig() string {
	return strings.ReplaceAll(hotConfig, `"6s"`, `"10m"`) + "unproven_for = [\"10m\"]\n"
}

func TestReloadKeepsBlocks(t *testing.T) {
	l := newLab(t)
	d := start(t, l.Target, Options{Config: longConfig()})
	witness(t, l, d, Source4(1), l.Target.V4)
	witness(t, l, d, Source6(1), l.Target.V6)
	before, err := d.Blocks()
	if err != nil {
		t.Fatal(err)
	}

	// An invalid file changes nothing and is reported.
	if err := d.Reload(longConfig() + "[tpc]\nmodes = []\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.WaitEvent(5*time.Second, "tpc"); err != nil {
		t.Error(err)
	}
	witness(t, l, d, Source4(2), l.Target.V4)

	// A valid one widens the range: a port beyond the old one is watched.
	far := knock(Source4(3), l.Target.V4, 2000)
	send(t, l.Attacker, far)
	witness(t, l, d, Source4(4), l.Target.V4)
	untouched(t, d, Source4(3))
	if err := d.Reload(strings.ReplaceAll(longConfig(), "1-1023", "1-2047")); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "the new range is watched", func() bool {
		send(t, l.Attacker, far)
		_, ok, err := d.Blocked(Source4(3))
		return err == nil && ok
	})

	for _, b := range before {
		after, ok, err := d.Blocked(addr(strings.TrimSuffix(b.Source, "/64")))
		if err != nil || !ok {
			t.Errorf("%s is no longer blocked: %v", b.Source, err)
		} else if !after.Since.Equal(b.Since) ||
			!after.Expires.Round(time.Second).Equal(b.Expires.Round(time.Second)) {
			t.Errorf("%s was blocked from %v to %v, is from %v to %v", b.Source, b.Since, b.Expires,
				after.Since, after.Expires)
		}
	}
}

// TestReloadKeepsState: a count goes on across a reload: three ports, a reload, the fourth
// port.
func TestReloadKeepsState(t *testing.T) {
	l := newLab(t)
	config := blocking + calmConfig
	d := start(t, l.Target, Options{Config: config})
	for _, port := range []uint16{500, 501, 502} {
		send(t, l.Attacker, knock(Source4(1), l.Target.V4, port))
	}
	witness(t, l, d, Source4(2), l.Target.V4)
	untouched(t, d, Source4(1))
	if err := d.Reload(strings.ReplaceAll(config, `"1-1023"`, `"1-1000"`)); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "the new range is in the kernel", func() bool {
		out, err := l.Target.Run("nft", "list", "set", "inet", "picket", "advanced_tcp")
		return err == nil && strings.Contains(out, "1-1000")
	})
	send(t, l.Attacker, knock(Source4(1), l.Target.V4, 503))
	if _, err := d.WaitBlock(Source4(1), 3*time.Second); err != nil {
		t.Error(err)
	}
}

// TestRestartKeepsBlocks: no block is lost in a restart or a crash.
func TestRestartKeepsBlocks(t *testing.T) {
	l := newLab(t)
	listen(t, l.Target, "tcp", 80)
	for i, end := range []struct {
		name string
		stop func(*testing.T, *Daemon)
	}{
		{"stopped", func(t *testing.T, d *Daemon) {
			if err := d.Stop(); err != nil {
				t.Error(err)
			}
		}},
		{"killed", func(_ *testing.T, d *Daemon) { d.Kill() }},
	} {
		t.Run(end.name, func(t *testing.T) {
			d := begin(t, l.Target, Options{Config: longConfig()})
			four, six := Source4(i+1), Source6(i+1)
			witness(t, l, d, four, l.Target.V4)
			witness(t, l, d, six, l.Target.V6)
			end.stop(t, d)

			again := start(t, l.Target, Options{Config: longConfig()})
			for src, dst := range map[netip.Addr]netip.Addr{four: l.Target.V4, six: l.Target.V6} {
				if l.Attacker.Reaches(src, netip.AddrPortFrom(dst, 80), 200*time.Millisecond) {
					t.Errorf("%s reaches a service", src)
				}
				// The kernel's list is read in the background: it may be long.
				if b, err := again.WaitBlock(src, 3*time.Second); err != nil {
					t.Error(err)
				} else if b.Remaining > 600 || b.Remaining < 500 {
					t.Errorf("%s: %v s remain of 600", src, b.Remaining)
				}
			}
			witness(t, l, again, Source4(i+11), l.Target.V4)
		})
	}
}

func TestDryRunBlocksNobody(t *testing.T) {
	for _, test := range []struct {
		name    string
		options Options
	}{
		{"flag", Options{Config: hotConfig, Args: []string{"--dry-run"}}},
		{"configuration", Options{Config: "dry_run = true\n" + hotConfig}},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t)
			listen(t, l.Target, "tcp", 80)
			d := start(t, l.Target, test.options)
			for src, dst := range map[netip.Addr]netip.Addr{Source4(1): l.Target.V4,
				Source6(1): l.Target.V6} {
				argv := nmap("-sS")(aim{src: src, dst: dst, dev: l.Attacker.Dev, ports: "1-100"})
				if _, err := l.Attacker.Run(argv[0], argv[1:]...); err != nil {
					t.Fatal(err)
				}
				if _, err := d.WaitEvent(3*time.Second, src.String(), "dry"); err != nil {
					t.Error(err)
				}
				innocent(t, l, d, src, dst)
			}
		})
	}
}

// TestIncludeIsTheInstalledRuleset: the text of the include and the daemon's rules are the same
// ruleset.
func TestIncludeIsTheInstalledRuleset(t *testing.T) {
	installed := newLab(t)
	d := start(t, installed.Target, Options{Config: hotConfig})
	text, err := d.Cmd("ruleset")
	if err != nil {
		t.Fatal(err)
	}
	included := newLab(t)
	if err := included.Target.NFT(text); err != nil {
		t.Fatal(err)
	}
	got, want := table(t, included.Target, false), table(t, installed.Target, false)
	if diff := compare(want, got); diff != "" {
		t.Errorf("included differs from installed (-installed +included):\n%s", diff)
	}
	// A second load, as by `systemctl reload nftables`, is no error.
	if err := included.Target.NFT(text); err != nil {
		t.Errorf("loaded again: %v", err)
	}
	if diff := compare(want, table(t, included.Target, false)); diff != "" {
		t.Errorf("loaded twice it differs (-installed +included):\n%s", diff)
	}
}

// TestIncludedTableIsAdopted: the table of an include is not changed, not even its handles.
func TestIncludedTableIsAdopted(t *testing.T) {
	other := newLab(t)
	text, err := start(t, other.Target, Options{Config: hotConfig}).Cmd("ruleset")
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t)
	if err := l.Target.NFT(text); err != nil {
		t.Fatal(err)
	}
	before := table(t, l.Target, true)
	d := start(t, l.Target, Options{Config: hotConfig})
	if diff := compare(before, table(t, l.Target, true)); diff != "" {
		t.Errorf("adopting changed the table (-before +after):\n%s", diff)
	}
	witness(t, l, d, Source4(1), l.Target.V4)
	witness(t, l, d, Source6(1), l.Target.V6)
}

// table returns nft's list of picket's table, in JSON, without elements, counters and, unless
// asked for, handles, which may differ.
func table(t *testing.T, h *Host, handles bool) []any {
	t.Helper()
	out, err := h.Run("nft", "-j", "list", "table", "inet", "picket")
	if err != nil {
		t.Fatal(err)
	}
	var listed struct {
		Nftables []any `json:"nftables"`
	}
	if err := json.Unmarshal([]byte(out), &listed); err != nil {
		t.Fatal(err)
	}
	if len(listed.Nftables) < 10 {
		t.Fatalf("that is no table of picket's: %s", out)
	}
	for _, v := range listed.Nftables {
		normalize(v, handles)
	}
	return listed.Nftables
}

func normalize(v any, handles bool) {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "elem")
		if !handles {
			delete(v, "handle")
		}
		if _, ok := v["packets"]; ok {
			v["packets"], v["bytes"] = 0, 0
		}
		for _, inner := range v {
			normalize(inner, handles)
		}
	case []any:
		for _, inner := range v {
			normalize(inner, handles)
		}
	}
}

// compare returns the differences between two lists of a table.
func compare(want, got []any) string { return cmp.Diff(want, got) }
