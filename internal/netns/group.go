// SPDX-License-Identifier: MIT

// Package netns makes network namespaces that end with the process, however it ends. "picket
// demo" and the lab use them.
//
// It needs root and iproute2, and changes nothing else on the machine: the names contain the
// process id and a counter.
package netns

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// home is the beginning of a group's folder; the rest is the group's id. Making the folder
// claims the id. It is beside iproute2's /run/netns, and lasts as long as the namespaces.
const home = "/run/picket-lab-"

// reap cleans up after a group. Its arguments are the group's folder and its id;
// the folder goes last, as it stands for the group.
const reap = `read -r _
for f in /run/netns/picket-*-"$2"; do
	[ -e "$f" ] || continue
	n=${f##*/}
	for p in $(ip netns pids "$n"); do kill -9 "$p"; done
	ip netns del "$n"
done
rm -rf -- "$1"`

// A Group is a set of namespaces that end together. Its methods are for one goroutine.
type Group struct {
	ID   string // process id and counter
	cmd  *exec.Cmd
	pipe io.Closer
	all  []*Host
}

// New makes a group without namespaces. The caller must [Group.Close] it. An error
// says what to install or which right is missing, and leaves nothing behind. Groups
// of ended processes are removed first.
func New() (*Group, error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("netns: %w: network namespaces need root", os.ErrPermission)
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return nil, fmt.Errorf("netns: %w: install iproute2", err)
	}
	if err := RemoveLeftovers(); err != nil {
		return nil, err
	}
	for n := 1; ; n++ {
		id := fmt.Sprintf("%d-%d", os.Getpid(), n)
		err := os.Mkdir(home+id, 0o700)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("netns: %w", err)
		}
		g, err := startReaper(id)
		if err != nil {
			os.Remove(home + id)
		}
		return g, err
	}
}

// Dir is a folder of the group's own, removed with it.
func (g *Group) Dir() string { return home + g.ID }

// startReaper starts the child that cleans up at the end of its pipe: when the group is closed,
// and when this process panics, is interrupted or killed.
func startReaper(id string) (*Group, error) {
	cmd := exec.Command("sh", "-c", reap, "picket-reaper", home+id, id)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // out of reach of the terminal's interrupt
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("netns: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("netns: %w", err)
	}
	return &Group{ID: id, cmd: cmd, pipe: pipe}, nil
}

// Close ends every process in the group's namespaces and removes them. A second
// call does nothing.
func (g *Group) Close() error {
	if g.cmd.ProcessState != nil {
		return nil
	}
	for _, h := range g.all {
		h.ns.Close()
	}
	g.pipe.Close()
	if err := g.cmd.Wait(); err != nil {
		return fmt.Errorf("netns: clean up: %w", err)
	}
	return nil
}

// RemoveLeftovers removes the groups of ended processes whose reapers were killed
// too.
func RemoveLeftovers() error {
	dirs, err := filepath.Glob(home + "*")
	if err != nil {
		return fmt.Errorf("netns: %w", err)
	}
	for _, dir := range dirs {
		id := strings.TrimPrefix(dir, home)
		owner, _, _ := strings.Cut(id, "-")
		if pid, err := strconv.Atoi(owner); err != nil || unix.Kill(pid, 0) != unix.ESRCH {
			continue
		}
		g, err := startReaper(id)
		if err != nil {
			return err
		}
		if err := g.Close(); err != nil {
			return fmt.Errorf("left over %s: %w", id, err)
		}
	}
	return nil
}
