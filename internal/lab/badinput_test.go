// SPDX-License-Identifier: MIT

package lab

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/florianl/go-nflog/v2"
	"golang.org/x/sys/unix"
)

// foreign is a table with our name and somebody else's rules.
const foreign = `table inet picket {
	set blocked4 { type inet_service; elements = { 22 } }
	chain mine { type filter hook input priority 0; tcp dport @blocked4 accept; }
}`

// TestRefusals: each obstacle has its own message, with the remedy, and its exit code; the
// kernel does not change.
func TestRefusals(t *testing.T) {
	config := hotConfig + "[nflog]\ngroup = 77\n"
	for _, test := range []struct {
		name    string
		prepare func(t *testing.T, l *Lab)
		options Options
		code    int
		says    []string
	}{
		{"group held by another process", holdGroup, Options{Config: config}, 1,
			[]string{"picket: ", "77", "taken"}},
		{"group held by another process, and asked by a user", holdGroup,
			Options{Config: config, User: 65534}, 1,
			[]string{"picket: ", "77", "taken by process " + strconv.Itoa(os.Getpid())}},
		{"missing CAP_NET_ADMIN", nil, Options{Config: config,
			Through: []string{"setpriv", "--bounding-set", "-net_admin"}}, 1,
			[]string{"picket: ", "CAP_NET_ADMIN"}},
		{"foreign table", func(t *testing.T, l *Lab) {
			if err := l.Target.NFT(foreign); err != nil {
				t.Fatal(err)
			}
		}, Options{Config: config}, 1, []string{"picket: ", "table inet picket"}},
		{"second picket", secondPicket, Options{Config: config}, 1,
			[]string{"picket: ", "another picket", "watched by process "}},
		{"second picket with a group of its own", secondPicket, Options{Config: hotConfig}, 1,
			[]string{"picket: ", "another picket", "watched by process "}},
		{"invalid configuration", nil, Options{Config: config + "colour = \"red\"\n[tpc]\nmodes = []\n"}, 2,
			[]string{"picket: ", "colour", "tpc", "tcp"}},
		{"bad value", nil, Options{Config: strings.Replace(config, `"1-1023"`, `"1-70000"`, 1)}, 2,
			[]string{"picket: ", "advanced", "70000"}},
		{"missing configuration", nil, Options{Args: []string{"--config", "/nonexistent/picket.toml"}}, 2,
			[]string{"picket: ", "/nonexistent/picket.toml"}},
		{"unknown flag", nil, Options{Config: config, Args: []string{"--dryrun"}}, 2,
			[]string{"picket: ", "dryrun"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t)
			if test.prepare != nil {
				test.prepare(t, l)
			}
			before := ruleset(t, l.Target)
			if test.options.User != 0 { // who is told all that may hold the group
				eventually(t, 5*time.Second, "nft has gone", func() bool {
					return aloneWithNetfilter(t, l.Target)
				})
			}
			test.options.Binary = os.Getenv(binaryEnv)
			d, err := Start(l.Target, test.options)
			if !errors.Is(err, ErrEnded) {
				t.Fatalf("it runs: %v", err)
			}
			if code := d.ExitCode(); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			said := strings.Join(d.Events(), "\n")
			if !containsAll(said, test.says) {
				t.Errorf("said %q, want each of %q", said, test.says)
			}
			if after := ruleset(t, l.Target); after != before {
				t.Errorf("ruleset before:\n%s\nafter:\n%s", before, after)
			}
		})
	}
}

// aloneWithNetfilter reports whether no process but this one has sockets to netfilter in a host's
// namespace.
func aloneWithNetfilter(t *testing.T, h *Host) bool {
	t.Helper()
	out, err := h.Run("cat", "/proc/net/netlink")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) < 3 || f[1] != strconv.Itoa(unix.NETLINK_NETFILTER) || f[2] == strconv.Itoa(os.Getpid()) {
			continue
		}
		if _, err := os.Stat("/proc/" + f[2]); f[2] != "0" && err == nil {
			return false
		}
	}
	return true
}

// TestSecondPicketInTheSameFolders: a second picket with the folders of the first finds the
// first one's socket.
func TestSecondPicketInTheSameFolders(t *testing.T) {
	l := newLab(t)
	first := start(t, l.Target, Options{Config: hotConfig + "[nflog]\ngroup = 77\n"})
	before := ruleset(t, l.Target)
	if out, err := first.Cmd("run"); err == nil || !strings.Contains(err.Error(), "picket: ") {
		t.Errorf("a second run printed %q and %v", out, err)
	}
	if after := ruleset(t, l.Target); after != before {
		t.Errorf("ruleset before:\n%s\nafter:\n%s", before, after)
	}
	if _, err := first.Cmd("status"); err != nil {
		t.Errorf("the first one no longer answers: %v", err)
	}
}

// secondPicket starts the first one, on group 77.
func secondPicket(t *testing.T, l *Lab) {
	start(t, l.Target, Options{Config: hotConfig + "[nflog]\ngroup = 77\n"})
}

// holdGroup binds group 77 in the target as another program would.
func holdGroup(t *testing.T, l *Lab) {
	nf, err := nflog.Open(&nflog.Config{Group: 77, Copymode: nflog.CopyPacket, NetNS: l.Target.FD()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() {
		cancel()
		nf.Close()
	})
	if err := nf.RegisterWithErrorFunc(ctx, func(nflog.Attribute) int { return 0 },
		func(error) int { return 0 }); err != nil {
		t.Fatal(err)
	}
}

// ruleset returns the rules of a host as nft lists them, without counters.
func ruleset(t testing.TB, h *Host) string {
	t.Helper()
	out, err := h.Run("nft", "-s", "list", "ruleset")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestStartNoticesTheEnd: the lab notices at once that a daemon has ended.
func TestStartNoticesTheEnd(t *testing.T) {
	l := newLab(t)
	began := time.Now()
	d, err := Start(l.Target, Options{Binary: "/bin/false"})
	if !errors.Is(err, ErrEnded) || d.ExitCode() != 1 {
		t.Errorf("got %v, exit code %d", err, d.ExitCode())
	}
	if took := time.Since(began); took > readyLimit/2 {
		t.Errorf("it took %v", took)
	}
}
