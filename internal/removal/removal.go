// SPDX-License-Identifier: MIT

// Package removal removes picket from the kernel: the running daemon, the table with its blocks,
// the effects of the actions, and the sockets stored for a next daemon.
//
// It needs root. A failure does not stop the rest of the removal.
package removal

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"

	"picket/internal/allowed"
	"picket/internal/beside"
	"picket/internal/config"
	"picket/internal/control"
	"picket/internal/ledger"
	"picket/internal/lookout"
	"picket/nft"
)

// All ends a running daemon, takes the table out of the kernel and undoes what was done beside
// its blocks. It writes to out what it removed, and reports through warn what does not stop it.
// Faults of the configuration are part of its error.
func All(
	out io.Writer, warn func(format string, args ...any), c *config.Config, faults error,
) error {
	r := remover{out: out, warn: warn, systemctl: systemctl, open: func(c nft.Config) (table, error) {
		return nft.Open(c)
	}}
	return errors.Join(faults, r.all(c))
}

// A remover removes. Tests give it a machine in memory.
type remover struct {
	out       io.Writer
	warn      func(format string, args ...any)
	systemctl func(args ...string) ([]byte, error)
	open      func(nft.Config) (table, error)
}

// A table has the methods of an [nft.Table] in use here.
type table interface {
	Inspect() (nft.State, error)
	Each(func(*nft.Block) error) error
	Remove() (bool, error)
	Close() error
}

func (r *remover) all(c *config.Config) error {
	if err := endDaemon(); err != nil {
		return err
	}
	r.closeSockets()
	blocks, err := r.removeTable(c)
	return errors.Join(err, beside.Remove(r.out, c, blocks), ledger.File().Forget(), allowed.File().Forget(),
		lookout.File().Forget())
}

// errNoSystemd: the machine does not run systemd.
var errNoSystemd = errors.New("systemd does not run here")

func systemctl(args ...string) ([]byte, error) {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return nil, errNoSystemd // sd_booted(3)
	}
	return exec.Command("systemctl", args...).CombinedOutput()
}

// closeSockets has systemd close the sockets that would start picket again, if
// it has them. They come back with "systemctl start picket".
func (r *remover) closeSockets() {
	if control.Path() != systemdSocket {
		return // of another picket than the unit
	}
	units := []string{"picket.socket", "picket-trap.socket"}
	if _, err := r.systemctl(append([]string{"--quiet", "is-active"}, units...)...); err != nil {
		return // neither
	}
	if out, err := r.systemctl(append([]string{"stop"}, units...)...); err != nil {
		r.warn("a connection may start picket again: systemctl stop %s: %v: %.200q",
			strings.Join(units, " "), err, out)
	}
}

// systemdSocket is the socket of picket.socket.
const systemdSocket = "/run/picket/control.sock"

// endDaemon ends a running daemon and waits until it is gone.
func endDaemon() error {
	var pid int
	err := control.Call(control.Path(), control.Request{Command: "remove"}, &pid)
	if errors.Is(err, control.ErrNotRunning) {
		return nil
	}
	for limit := time.Now().Add(20 * time.Second); err == nil; time.Sleep(20 * time.Millisecond) {
		// A process that has ended, and whose parent has not waited for it, has no program.
		if _, gone := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); gone != nil {
			return nil
		}
		if time.Now().After(limit) {
			err = fmt.Errorf("the daemon, process %d, does not end: stop it, then try again", pid)
		}
	}
	return err
}

// removeTable removes the table and returns its blocks, if the configuration needs them.
func (r *remover) removeTable(c *config.Config) (blocks []netip.Prefix, err error) {
	t, err := r.open(c.Table())
	if err != nil {
		return nil, err
	}
	defer t.Close()
	state, err := t.Inspect()
	if err != nil {
		return nil, err
	}
	if beside.Ends(c) && (state == nft.Ours || state == nft.Complete) {
		err := t.Each(func(b *nft.Block) error {
			blocks = append(blocks, b.Source)
			return nil
		})
		if err != nil {
			r.warn("run.end will not be run for all: %v", err) // of a table that is not whole
		}
	}
	removed, err := t.Remove()
	if err != nil {
		return nil, err
	}
	text := "removed table inet " + nft.Name
	if !removed {
		text = "there is no table inet " + nft.Name
	}
	_, err = fmt.Fprintln(r.out, text)
	return blocks, err
}
