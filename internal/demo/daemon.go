// SPDX-License-Identifier: MIT

package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"picket/internal/netns"
)

// The limit of a start or a stop on a busy machine, and the interval of looks.
const (
	patience  = 10 * time.Second
	pollEvery = 20 * time.Millisecond
)

// A daemon is a "picket run" on the target, on its embedded default.
type daemon struct {
	host   *netns.Host
	binary string
	dir    string
	cmd    *exec.Cmd
	ended  chan struct{} // closed at the end of the process

	mu   sync.Mutex
	said bytes.Buffer // guarded by mu
}

// start starts "picket run" and returns when it answers.
func start(h *netns.Host, dir, binary string) (*daemon, error) {
	d := &daemon{host: h, binary: binary, dir: dir, ended: make(chan struct{})}
	for _, sub := range []string{"run", "state"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(d.resolv(), []byte("# of picket demo\n"), 0o644); err != nil {
		return nil, err
	}
	d.cmd = h.Alone(context.Background(), d.resolv(), dir, binary, "run")
	d.cmd.Stdout, d.cmd.Stderr = d, d
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		d.cmd.Wait() // its output says why
		close(d.ended)
	}()
	for limit := time.Now().Add(patience); time.Now().Before(limit); time.Sleep(pollEvery) {
		select {
		case <-d.ended:
			return nil, fmt.Errorf("picket run ended: %s", strings.Join(d.events(), "\n"))
		default:
		}
		if _, err := d.command("status"); err == nil {
			return d, nil
		}
	}
	d.stop()
	return nil, fmt.Errorf("picket run is not ready after %v: %s", patience, strings.Join(d.events(), "\n"))
}

func (d *daemon) resolv() string { return filepath.Join(d.dir, "resolv.conf") }

// Write collects the daemon's output.
func (d *daemon) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.said.Write(p)
}

// events returns the daemon's lines so far.
func (d *daemon) events() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Split(strings.TrimSpace(d.said.String()), "\n")
}

// command runs a command of picket's against the daemon.
func (d *daemon) command(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), netns.CommandLimit)
	defer cancel()
	return netns.Output(d.host.Alone(ctx, d.resolv(), d.dir, append([]string{d.binary}, args...)...))
}

// A block is the needed part of an entry of "picket blocks --json".
type block struct {
	Source    string    `json:"source"`
	Remaining float64   `json:"remaining_s"`
	Since     time.Time `json:"since"`
}

// waitBlock waits until an address is blocked.
func (d *daemon) waitBlock(source netip.Addr, timeout time.Duration) (block, error) {
	for limit := time.Now().Add(timeout); time.Now().Before(limit); time.Sleep(pollEvery) {
		out, err := d.command("blocks", "--json")
		if err != nil {
			return block{}, err
		}
		var all []block
		if err := json.Unmarshal([]byte(out), &all); err != nil {
			return block{}, fmt.Errorf("picket blocks --json: %w: %s", err, out)
		}
		for _, b := range all {
			if b.Source == source.String() {
				return b, nil
			}
		}
	}
	return block{}, fmt.Errorf("%s is not blocked after %v", source, timeout)
}

// stop asks the daemon to end and waits. One that does not end is killed with the
// namespaces.
func (d *daemon) stop() {
	d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.ended:
	case <-time.After(patience):
	}
}
