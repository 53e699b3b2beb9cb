// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"picket/internal/control"
)

// answering lets a daemon in memory answer the commands, and returns a function that lists its
// requests.
func answering(t *testing.T, answer func(control.Request) (any, error)) (asked func() []control.Request) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("RUNTIME_DIRECTORY", dir)
	l, err := net.Listen("unix", filepath.Join(dir, "control.sock"))
	if err != nil {
		t.Fatal(err)
	}
	requests := make(chan control.Request, 100)
	served := make(chan error, 1)
	go func() {
		served <- control.Serve(t.Context(), l, func(r control.Request) (any, error) {
			requests <- r
			return answer(r)
		})
	}()
	t.Cleanup(func() {
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return func() (list []control.Request) {
		for len(requests) > 0 {
			list = append(list, <-requests)
		}
		return list
	}
}

// commanded runs a command line and returns the exit code and the output.
func commanded(t *testing.T, stdin string, args ...string) (code int, out, complaints string) {
	t.Helper()
	printed, err := os.Create(filepath.Join(t.TempDir(), "stdout"))
	if err != nil {
		t.Fatal(err)
	}
	defer printed.Close()
	input := filepath.Join(t.TempDir(), "stdin")
	if err := os.WriteFile(input, []byte(stdin), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(input)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	wasIn, wasOut := os.Stdin, os.Stdout
	os.Stdin, os.Stdout = in, printed
	defer func() { os.Stdin, os.Stdout = wasIn, wasOut }()
	complaints = standardError(t, func() { code = run(args) })
	b, err := os.ReadFile(printed.Name())
	if err != nil {
		t.Fatal(err)
	}
	return code, string(b), complaints
}

// A command sends the daemon its request, prints the answer, and exits with the code that
// scripts rely on.
func TestCommandsAsk(t *testing.T) {
	t.Setenv("SSH_CONNECTION", "198.51.100.7 50000 192.0.2.2 22")
	since := time.Date(2026, 11, 22, 12, 0, 0, 0, time.Local)
	block := control.Block{Name: "192.0.2.9", Response: "block", Since: since, Remaining: 60,
		Reason: "above the trigger", Drops: 7}
	trial := &control.Trial{Since: since, Sources: 1, Unwanted: 10, Kept: 5, Blocks: []control.Block{block}}
	file := filepath.Join(t.TempDir(), "picket.toml")
	asked := answering(t, func(r control.Request) (any, error) {
		switch r.Command {
		case "blocks":
			return []control.Block{block}, nil
		case "trial":
			return trial, nil
		case "allowed":
			return []control.Allowed{{Name: "192.0.2.8", Since: since, Reason: "mine"}}, nil
		case "status":
			return &control.Status{Version: "test"}, nil
		case "explain":
			return &control.Explanation{Source: r.Source, Summary: "It is blocked."}, nil
		case "connected":
			return []string{}, nil
		case "arm", "reload":
			if r.For == "1h" {
				return nil, errors.New("there is no trial")
			}
			return nil, nil
		}
		return []control.Outcome{{Name: r.Sources[0]}}, nil
	})
	for _, x := range []struct {
		args  string
		code  int
		out   string // a part of standard output
		wrong string // a part of standard error
		asked string // the commands, with the text of the last one
	}{
		{"status", 0, "picket         test, process 0", "", "status"},
		{"status --json", 0, "\"version\": \"test\"", "", "status"},
		{"blocks", 0, "192.0.2.9  1m", "", "blocks"},
		{"blocks --json", 0, "{\"source\":\"192.0.2.9\"", "", "blocks"},
		{"blocks --json --country NL", 0, "[]\n", "", "blocks"},
		{"blocks --country NL", 0, "nobody who is blocked is of that kind", "", "blocks"},
		{"blocks --addresses", 0, "192.0.2.9\n", "", "blocks"},
		{"blocks --trial", 0, "5 of 10 unwanted probes (50.0 %) kept off", "", "trial"},
		{"blocks --trial --json", 0, "\"source\": \"192.0.2.9\"", "", "trial"},
		{"blocks --since someday", 2, "", "--since", ""},
		{"block 192.0.2.9 --for 1d", 0, "blocked 192.0.2.9/32 for 1d", "",
			"connected block 192.0.2.9/32 1d blocked by hand"},
		{"block 198.51.100.0/24 --yes", 0, "blocked 198.51.100.0/24 for 1h", "",
			"block 198.51.100.0/24 1h blocked by hand"},
		{"block 198.51.100.7", 0, "blocked", "198.51.100.7 is where your own SSH session comes from",
			"connected block 198.51.100.7/32 1h blocked by hand"},
		{"block here", 2, "", "\"here\" is no address or prefix", ""},
		{"block -", 0, "blocked 2001:db8::/32", "", "connected block 2001:db8::/32 1h blocked by hand"},
		{"unblock 192.0.2.9", 0, "unblocked 192.0.2.9", "", "unblock 192.0.2.9/32"},
		{"unblock", 2, "", "either a source or --all", ""},
		{"allow 192.0.2.9 --for 2h --reason audit", 0, "allowed 192.0.2.9/32 for 2h", "",
			"allow 192.0.2.9/32 2h audit"},
		{"allow 192.0.2.9 --for ever", 2, "", "--for", ""},
		{"allow", 2, "", "SOURCE is missing", ""},
		{"unallow 192.0.2.9", 0, "no longer allowed: 192.0.2.9/32", "", "unallow 192.0.2.9/32"},
		{"allowed", 0, "192.0.2.8  for good", "", "allowed"},
		{"allowed --json", 0, "\"reason\": \"mine\"", "", "allowed"},
		{"explain 192.0.2.9", 0, "It is blocked.", "", "explain"},
		{"explain 192.0.2.9 --json", 0, "\"summary\": \"It is blocked.\"", "", "explain"},
		{"explain 192.0.2.9 --pcap -", 0, "\x0a\x0d\x0d\x0a", "", "explain"},
		{"explain 192.0.2.9 --pcap FILE.pcapng", 0, "It is blocked.", "no packet of 192.0.2.9/32 is kept",
			"explain"},
		{"explain here", 2, "", "no address or prefix", ""},
		{"explain 192.0.2.9 --pcap=", 2, "", "--pcap is empty", ""},
		{"arm --rollback 5m", 0, "armed for 5m; then the trial goes on", "", "trial arm 5m"},
		{"arm --rollback 1h", 1, "since 2026-11-22 12:00:00 1 source", "there is no trial", "trial arm 1h"},
		{"reload", 0, "", "", "reload"},
		{"arm --rollback soon", 2, "", "--rollback", ""},
		{"arm --config FILE", 0, "picket.d/90-armed.toml)", "", "trial arm"},
		{"arm --confirm --config FILE", 0, "armed: picket blocks from now on", "", "arm"},
	} {
		args := strings.Fields(strings.ReplaceAll(x.args, "FILE", file))
		code, out, wrong := commanded(t, "2001:db8::/32\n", args...)
		if code != x.code || !strings.Contains(out, x.out) || !strings.Contains(wrong, x.wrong) ||
			x.wrong == "" && wrong != "" {
			t.Errorf("picket %s: exit code %d, want %d; printed %q, want %q; complained %q, want %q", x.args,
				code, x.code, out, x.out, wrong, x.wrong)
		}
		var said []string
		for _, r := range asked() {
			said = append(said, r.Command)
			if r.Command != "connected" {
				said = append(append(said, r.Sources...), r.For, r.Reason)
			}
		}
		if got := strings.Join(strings.Fields(strings.Join(said, " ")), " "); got != x.asked {
			t.Errorf("picket %s: asked %q, want %q", x.args, got, x.asked)
		}
	}
}

// The daemon's refusal is the command's error. A failed "picket arm" leaves no drop-in.
func TestCommandsFail(t *testing.T) {
	answering(t, func(control.Request) (any, error) { return nil, errors.New("not\x1b now") })
	file := filepath.Join(t.TempDir(), "picket.toml")
	for _, args := range [][]string{
		{"status"}, {"blocks"}, {"blocks", "--trial"}, {"blocks", "--json"}, {"block", "192.0.2.9"},
		{"allowed"}, {"explain", "192.0.2.9"},
		{"arm", "--confirm", "--config", file}, {"arm"}, {"top"}, {"remove"},
	} {
		if code, out, wrong := commanded(t, "", args...); code != exitFailed || out != "" ||
			!strings.Contains(wrong, "not? now") {
			t.Errorf("%q: exit code %d, %q, %q", args, code, out, wrong)
		}
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(file), "picket.d", "*")); err != nil ||
		len(left) > 0 {
		t.Errorf("%v, %q", err, left)
	}
	if got := known(); len(got) != 0 || inForce() != nil {
		t.Errorf("known from nobody: %q, %v", got, inForce())
	}
}

// Completion lists sources with a description, cleaned for a terminal.
func TestKnown(t *testing.T) {
	answering(t, func(r control.Request) (any, error) {
		if r.Command == "sources" {
			return []control.Source{{Name: "192.0.2.8", Probes: 3, Pattern: "sweep"}}, nil
		}
		return []control.Block{{Name: "192.0.2.9", Source: netip.MustParsePrefix("192.0.2.9/32"),
			Reason: "\x1b", Drops: 7}}, nil
	})
	if got := known(); !slices.Equal(got, []cobra.Completion{"192.0.2.8\t3 probes sweep", "192.0.2.9\t?"}) {
		t.Errorf("%q", got)
	}
	if got := inForce(); got.Responses != 1 || got.Drops["192.0.2.9"] != 7 {
		t.Errorf("%v", got)
	}
}
