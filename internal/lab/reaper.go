// SPDX-License-Identifier: MIT

package lab

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

// home begins the folder of a lab, its id follows. Making it claims the id. It
// lies beside iproute2's /run/netns, and so lives as long as the namespaces.
const home = "/run/picket-lab-"

// roles are the hosts a lab may come to have.
func roles() []string { return []string{"attacker", "target", "container"} }

// namespace returns the name of a host's namespace.
func namespace(role, id string) string { return "picket-" + role + "-" + id }

// reap is what cleans up after a lab. Its arguments are the lab's folder and
// the names of its namespaces; the folder goes last, since it tells of a lab.
const reap = `read -r _
dir=$1; shift
for n in "$@"; do
	[ -e "/run/netns/$n" ] || continue
	for p in $(ip netns pids "$n"); do kill -9 "$p"; done
	ip netns del "$n"
done
rm -rf -- "$dir"`

// claim makes the folder and the reaper of a new lab.
func claim() (*Lab, error) {
	for n := 1; ; n++ {
		l := &Lab{id: fmt.Sprintf("%d-%d", os.Getpid(), n)}
		err := os.Mkdir(l.Dir(), 0o700)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("lab: %w", err)
		}
		if l.reaper, err = startReaper(l.id); err != nil {
			os.Remove(l.Dir())
			return nil, err
		}
		return l, nil
	}
}

// A reaper is a child that cleans up once its end of a pipe reads end of file.
// That happens when the lab is closed, and just as well when this process
// panics, is interrupted or killed.
type reaper struct {
	cmd  *exec.Cmd
	pipe io.Closer
}

func startReaper(id string) (*reaper, error) {
	args := []string{"-c", reap, "picket-lab-reaper", home + id}
	for _, r := range roles() {
		args = append(args, namespace(r, id))
	}
	cmd := exec.Command("sh", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // an interrupt from the terminal is not for it
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	return &reaper{cmd, pipe}, nil
}

// reap cleans up now. A second call does nothing.
func (r *reaper) reap() error {
	if r.cmd.ProcessState != nil {
		return nil
	}
	r.pipe.Close()
	if err := r.cmd.Wait(); err != nil {
		return fmt.Errorf("lab: clean up: %w", err)
	}
	return nil
}

// removeLeftovers removes the labs of processes that are no more, whose
// reapers were killed with them.
func removeLeftovers() error {
	dirs, err := filepath.Glob(home + "*")
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	for _, dir := range dirs {
		id := strings.TrimPrefix(dir, home)
		owner, _, _ := strings.Cut(id, "-")
		if pid, err := strconv.Atoi(owner); err != nil || unix.Kill(pid, 0) != unix.ESRCH {
			continue
		}
		r, err := startReaper(id)
		if err != nil {
			return err
		}
		if err := r.reap(); err != nil {
			return fmt.Errorf("left over %s: %w", id, err)
		}
	}
	return nil
}
