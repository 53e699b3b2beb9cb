// SPDX-License-Identifier: MIT

package boot

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// A process ends with this one: the kernel kills it at the end of its starting thread
// (PR_SET_PDEATHSIG), which a goroutine holds until then.
type process struct {
	cmd    *exec.Cmd
	output *bufio.Reader // nil: elsewhere
	done   chan struct{} // closed at its end
	err    error         // how, valid from then on
}

// start runs a command in a process group of its own. Its output goes to console or, if that
// is nil, to output.
func start(console io.Writer, name string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(name, args...), done: make(chan struct{})}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p.cmd.Stdout, p.cmd.Stderr = console, console
	var reader, writer *os.File
	if console == nil {
		var err error
		if reader, writer, err = os.Pipe(); err != nil {
			return nil, err
		}
		p.cmd.Stdout, p.cmd.Stderr = writer, writer
		p.output = bufio.NewReader(reader)
	}
	started := make(chan error)
	go func() {
		defer close(p.done)
		runtime.LockOSThread()
		err := p.cmd.Start()
		writer.Close() // a nil file returns a harmless error
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
		}
		reader.Close()
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// says waits for a line that p prints when it is ready.
func (p *process) says(want string) error {
	for all := ""; ; {
		line, err := p.output.ReadString('\n')
		if line == want+"\n" {
			return nil
		}
		if all += line; err != nil {
			return fmt.Errorf("%s: %w: %s", p.cmd.Path, err, all)
		}
	}
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// wait returns when p has ended by itself.
func (p *process) wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// kill ends p and its group, if they exist, and waits.
func (p *process) kill() error {
	if p == nil {
		return nil
	}
	err := syscall.Kill(-p.pid(), syscall.SIGKILL)
	<-p.done
	if errors.Is(err, syscall.ESRCH) {
		err = nil
	}
	return err
}

// makeGroups makes a control group in each hierarchy of systemd's: the unified one, or the
// several of older layouts. Without its own, the container would mix its services with those of
// the machine.
func (s *System) makeGroups() error {
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified",
		"/sys/fs/cgroup/pids"} {
		if _, err := os.Stat(filepath.Join(root, "cgroup.procs")); err != nil {
			continue
		}
		group := filepath.Join(root, s.name)
		if err := os.Mkdir(group, 0o755); err != nil {
			return err
		}
		s.groups = append(s.groups, group)
	}
	return nil
}

// removeGroups removes the groups, the innermost first. The kernel may need a moment after the
// end of the last process.
func (s *System) removeGroups() error {
	var err error
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		err = nil
		for _, group := range s.groups {
			err = errors.Join(err, removeTree(group))
		}
		if err == nil {
			return nil
		}
	}
	return err
}

// removeTree removes directories only: files of a control group cannot be removed.
func removeTree(directory string) error {
	entries, err := os.ReadDir(directory)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeTree(filepath.Join(directory, e.Name())); err != nil {
				return err
			}
		}
	}
	return os.Remove(directory)
}
