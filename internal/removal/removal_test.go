// SPDX-License-Identifier: MIT

package removal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"picket/internal/config"
	"picket/internal/control"
	"picket/internal/ledger"
	"picket/nft"
)

// A fake is a table in memory.
type fake struct {
	there  bool
	failed error
}

func (f *fake) Inspect() (nft.State, error) {
	if f.there {
		return nft.Complete, nil
	}
	return nft.Absent, nil
}

func (f *fake) Each(see func(*nft.Block) error) error {
	if f.failed != nil {
		return f.failed
	}
	return see(&nft.Block{Source: netip.MustParsePrefix("192.0.2.9/32")})
}

func (f *fake) Remove() (bool, error) {
	was := f.there
	f.there = false
	return was, nil
}

func (f *fake) Close() error { return nil }

// begin returns a remover with a machine in memory, and its output.
func begin(t *testing.T, f *fake) (r *remover, out, warned *bytes.Buffer) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("STATE_DIRECTORY", dir)
	t.Setenv("RUNTIME_DIRECTORY", dir)
	out, warned = new(bytes.Buffer), new(bytes.Buffer)
	return &remover{
		out: out, warn: func(format string, args ...any) { fmt.Fprintf(warned, format+"\n", args...) },
		open: func(nft.Config) (table, error) { return f, nil },
		systemctl: func(args ...string) ([]byte, error) {
			t.Errorf("systemctl %q for a picket that is not the unit's", args)
			return nil, nil
		},
	}, out, warned
}

// After a removal the table, the state and the effects of run.end are gone. A second removal
// has nothing to do.
func TestAll(t *testing.T) {
	f := &fake{there: true}
	r, out, _ := begin(t, f)
	if err := os.WriteFile(ledger.File().Path, []byte("state"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, ended := config.Default(), filepath.Join(t.TempDir(), "ended")
	c.Run.End = []string{"/bin/sh", "-c", "cat > " + ended}
	for _, want := range []string{"removed table inet picket\n", "there is no table inet picket\n"} {
		out.Reset()
		if err := r.all(c); err != nil || !strings.HasPrefix(out.String(), want) {
			t.Errorf("%v, %q, want %q", err, out, want)
		}
	}
	if _, err := os.Stat(ledger.File().Path); !errors.Is(err, os.ErrNotExist) {
		t.Error("the state file is left", err)
	}
	if text, err := os.ReadFile(ended); err != nil || !strings.Contains(string(text), "192.0.2.9") {
		t.Errorf("run.end: %v, %q", err, text)
	}
	f.there, f.failed = true, errors.New("not whole")
	if err := r.all(c); err != nil || f.there {
		t.Error("a table whose blocks cannot be read stays", err)
	}
	r.open = func(nft.Config) (table, error) { return nil, errors.New("no right to") }
	if err := r.all(c); err == nil || err.Error() != "no right to" {
		t.Error(err)
	}
}

// A running daemon is asked to end, and waited for. If it refuses, nothing is removed.
func TestEndsDaemon(t *testing.T) {
	f := &fake{there: true}
	r, _, _ := begin(t, f)
	l, err := control.Listen(control.Path())
	if err != nil {
		t.Fatal(err)
	}
	daemon := exec.Command("sleep", "60")
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- daemon.Wait() }()
	refuse := errors.New("not now")
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- control.Serve(ctx, l, func(q control.Request) (any, error) {
			if q.Command != "remove" || refuse != nil {
				return nil, refuse
			}
			return daemon.Process.Pid, daemon.Process.Kill()
		})
	}()
	if err := r.all(config.Default()); err == nil || !f.there {
		t.Errorf("%v; the table is there: %v", err, f.there)
	}
	refuse = nil
	if err := r.all(config.Default()); err != nil || f.there {
		t.Errorf("%v; the table is there: %v", err, f.there)
	}
	<-exited
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// The sockets of the unit are closed if systemd has them. A failure is reported.
func TestClosesSockets(t *testing.T) {
	for _, x := range []struct {
		active, stop error
		want         []string
		warned       bool
	}{
		{errNoSystemd, nil, []string{"--quiet is-active picket.socket picket-trap.socket"}, false},
		{nil, nil, []string{"--quiet is-active picket.socket picket-trap.socket",
			"stop picket.socket picket-trap.socket"}, false},
		{nil, errors.New("busy"), []string{"--quiet is-active picket.socket picket-trap.socket",
			"stop picket.socket picket-trap.socket"}, true},
	} {
		r, _, warned := begin(t, new(fake))
		t.Setenv("RUNTIME_DIRECTORY", "")
		var got []string
		r.systemctl = func(args ...string) ([]byte, error) {
			got = append(got, strings.Join(args, " "))
			if args[0] == "stop" {
				return nil, x.stop
			}
			return nil, x.active
		}
		r.closeSockets()
		if !slices.Equal(got, x.want) || (warned.Len() > 0) != x.warned {
			t.Errorf("%q, want %q; warned: %s", got, x.want, warned)
		}
	}
}
