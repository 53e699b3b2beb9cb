// SPDX-License-Identifier: MIT

package daemon

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
	"picket/nft"
)

// Remove ends a running daemon, takes the table out of the kernel and undoes
// what was done beside its blocks. It writes to out what it removed, and tells
// by warn what does not keep it from its work. What was wrong with the
// configuration, faults, is part of its error.
func Remove(out io.Writer, warn func(format string, args ...any), c *config.Config, faults error) error {
	if err := endDaemon(); err != nil {
		return errors.Join(faults, err)
	}
	closeSockets(warn)
	blocks, err := removeTable(out, warn, c)
	// What cannot be undone keeps nothing else from it.
	return errors.Join(faults, err, beside.Remove(out, c, blocks), ledger.File().Forget(), allowed.File().Forget())
}

// closeSockets has systemd close the sockets that would start picket again, if
// it has them. They come back with "systemctl start picket".
func closeSockets(warn func(string, ...any)) {
	if control.Path() != systemdSocket {
		return // of another picket than the unit
	}
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return // sd_booted(3)
	}
	units := []string{"picket.socket", "picket-trap.socket"}
	if exec.Command("systemctl", append([]string{"--quiet", "is-active"}, units...)...).Run() != nil {
		return // neither
	}
	if out, err := exec.Command("systemctl", append([]string{"stop"}, units...)...).CombinedOutput(); err != nil {
		warn("a connection may start picket again: systemctl stop %s: %v: %.200q", strings.Join(units, " "), err, out)
	}
}

// systemdSocket is that of picket.socket.
const systemdSocket = "/run/picket/control.sock"

// endDaemon ends a running daemon and waits until it is gone.
func endDaemon() error {
	var pid int
	err := control.Call(control.Path(), control.Request{Command: "remove"}, &pid)
	if errors.Is(err, control.ErrNotRunning) {
		return nil
	}
	for limit := time.Now().Add(20 * time.Second); err == nil; time.Sleep(20 * time.Millisecond) {
		// A process that has ended and that nobody has waited for has no program.
		if _, gone := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); gone != nil {
			return nil
		}
		if time.Now().After(limit) {
			err = fmt.Errorf("the daemon, process %d, does not end: stop it, then try again", pid)
		}
	}
	return err
}

// removeTable removes the table and returns the blocks that were in it, if
// somebody wants to know.
func removeTable(out io.Writer, warn func(string, ...any), c *config.Config) (blocks []netip.Prefix, err error) {
	t, err := nft.Open(c.Table())
	if err != nil {
		return nil, err
	}
	defer t.Close()
	state, err := t.Inspect()
	if err != nil {
		return nil, err
	}
	if beside.Ends(c) && (state == nft.Ours || state == nft.Complete) {
		list, err := t.Blocks()
		if err != nil {
			warn("run.end will not be run: %v", err) // of a table that is not whole
		}
		for _, b := range list {
			blocks = append(blocks, b.Source)
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
	_, err = fmt.Fprintln(out, text)
	return blocks, err
}
