// SPDX-License-Identifier: MIT

package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"picket/internal/netns"
)

// Options are the options of [Start]. Only Binary is needed.
type Options struct {
	Binary    string        // the program
	Config    string        // text of the configuration; "" starts it on its embedded default
	Args      []string      // further arguments of "picket run"
	Through   []string      // a program around picket, with its arguments: setpriv, say
	User      int           // runs picket as this user, with CAP_NET_ADMIN alone; 0 is root
	Resolvers []netip.Addr  // of the host's resolv.conf
	Stderr    io.Writer     // gets the daemon's output at once; may be nil
	Ready     time.Duration // the limit of a start; 0 is 10 s
}

// through is the program around picket.
func (o Options) through() []string {
	if o.User == 0 {
		return o.Through
	}
	const caps = "-all,+net_admin"
	user := strconv.Itoa(o.User)
	return append(slices.Clip(o.Through), "setpriv", "--reuid", user, "--regid", user, "--clear-groups",
		"--inh-caps", caps, "--ambient-caps", caps, "--bounding-set", caps)
}

// A Daemon is a running "picket run" on a [Host], with run-time and state folders of its
// own. Its methods are safe for concurrent use.
type Daemon struct {
	host    *Host
	binary  string
	dir     string
	config  string // path of the configuration file, "" without one
	options Options
	cmd     *exec.Cmd
	ended   chan struct{} // closed at the end of the process
	err     error         // of the process; valid once ended is closed
	said    lines

	mu     sync.Mutex // guards the list of blocks, as last read
	blocks []Block
	read   time.Time
}

// The time limit for quick things on a busy machine, and the polling interval.
const (
	readyLimit = 10 * time.Second
	stopLimit  = 10 * time.Second
	pollEvery  = 20 * time.Millisecond
)

// ErrEnded is wrapped by [Start] if the daemon ended before it was ready.
var ErrEnded = errors.New("picket run ended")

// Start starts "picket run" on h and returns when it answers and its log rules are in the
// kernel. If the daemon ends before that, the error wraps [ErrEnded] and carries its output;
// the Daemon is returned all the same, for its exit code and lines.
func Start(h *Host, o Options) (*Daemon, error) {
	d, err := prepare(h, o)
	if err != nil {
		return nil, err
	}
	return d.begin(o)
}

// Again restarts an ended daemon with its folders and its configuration, through a program if
// one is given, and returns it as [Start] does.
func (d *Daemon) Again(through ...string) (*Daemon, error) {
	next := &Daemon{
		host: d.host, binary: d.binary, dir: d.dir, config: d.config, options: d.options,
		ended: make(chan struct{}),
	}
	o := d.options
	o.Through = through
	return next.begin(o)
}

// begin starts the process and waits until it answers.
func (d *Daemon) begin(o Options) (*Daemon, error) {
	d.options = o
	if err := d.start(o); err != nil {
		return nil, err
	}
	patience := o.Ready
	if patience == 0 {
		patience = readyLimit
	}
	for limit := time.Now().Add(patience); time.Now().Before(limit); time.Sleep(pollEvery) {
		select {
		case <-d.ended:
			return d, fmt.Errorf("lab: %w: %s", ErrEnded, strings.Join(d.Events(), "\n"))
		default:
		}
		rules, err := d.host.Run("nft", "--terse", "list", "table", "inet", "picket")
		if err != nil || !strings.Contains(rules, " log ") {
			continue
		}
		if _, err := d.Cmd("status"); err == nil {
			return d, nil
		}
	}
	d.Kill()
	return d, fmt.Errorf("lab: picket run is not ready after %v: %s", patience,
		strings.Join(d.Events(), "\n"))
}

// prepare makes the folders and files of a daemon.
func prepare(h *Host, o Options) (*Daemon, error) {
	binary, err := filepath.Abs(o.Binary)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	dir, err := os.MkdirTemp(h.lab.Dir(), "daemon-")
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	d := &Daemon{host: h, binary: binary, dir: dir, ended: make(chan struct{})}
	for _, sub := range []string{"run", "state"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("lab: %w", err)
		}
	}
	resolv := "# of a picket lab\n"
	for _, r := range o.Resolvers {
		resolv += "nameserver " + r.String() + "\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "resolv.conf"), []byte(resolv), 0o644); err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	if o.Config != "" {
		d.config = filepath.Join(dir, "picket.toml")
		if err := os.WriteFile(d.config, []byte(o.Config), 0o600); err != nil {
			return nil, fmt.Errorf("lab: %w", err)
		}
	}
	return d, d.give(o.User)
}

// give gives the daemon's files to a user.
func (d *Daemon) give(user int) error {
	if user == 0 {
		return nil
	}
	if err := os.Chmod(d.host.lab.Dir(), 0o711); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	return filepath.WalkDir(d.dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = os.Chown(path, user, user)
		}
		return err
	})
}

// command returns a command of picket's on the daemon's host and folders.
func (d *Daemon) command(ctx context.Context, through []string, args ...string) *exec.Cmd {
	argv := append(append(slices.Clip(through), d.binary), args...)
	if d.config != "" {
		argv = append(argv, "--config", d.config)
	}
	return d.host.Alone(ctx, filepath.Join(d.dir, "resolv.conf"), d.dir, argv...)
}

// start starts the process and collects its output.
func (d *Daemon) start(o Options) error {
	d.cmd = d.command(context.Background(), o.through(), append([]string{"run"}, o.Args...)...)
	d.said.copy = o.Stderr
	d.cmd.Stdout, d.cmd.Stderr = &d.said, &d.said
	if err := d.cmd.Start(); err != nil {
		return fmt.Errorf("lab: picket run: %w", err)
	}
	go func() {
		d.err = d.cmd.Wait()
		close(d.ended)
	}()
	return nil
}

// Cmd runs a command of picket's against the daemon, with its configuration, and returns the
// output. An error wraps *exec.ExitError and carries the standard error.
func (d *Daemon) Cmd(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), netns.CommandLimit)
	defer cancel()
	return netns.Output(d.command(ctx, nil, args...))
}

// A Block is one entry of "picket blocks --json".
type Block struct {
	Source    string    `json:"source"` // address or prefix
	Response  string    `json:"response"`
	Expires   time.Time `json:"expires"`
	Remaining float64   `json:"remaining_s"`
	Since     time.Time `json:"since"`
	Reason    string    `json:"reason"`
	Pattern   string    `json:"pattern"`
	Technique string    `json:"technique"`
	Proven    bool      `json:"proven"`
	Drops     uint64    `json:"drops"` // packets
}

// Covers reports whether a is blocked by b.
func (b Block) Covers(a netip.Addr) bool {
	if p, err := netip.ParsePrefix(b.Source); err == nil {
		return p.Contains(a)
	}
	one, err := netip.ParseAddr(b.Source)
	return err == nil && one == a
}

// Blocks returns the list of "picket blocks --json": one array or an object a line.
func (d *Daemon) Blocks() ([]Block, error) {
	out, err := d.Cmd("blocks", "--json")
	if err != nil {
		return nil, err
	}
	var all []Block
	for dec := json.NewDecoder(strings.NewReader(out)); ; {
		var v json.RawMessage
		if err := dec.Decode(&v); err == io.EOF {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("lab: picket blocks --json: %w: %s", err, out)
		}
		if !bytes.HasPrefix(v, []byte("[")) {
			v = append(append([]byte{'['}, v...), ']')
		}
		var some []Block
		if err := json.Unmarshal(v, &some); err != nil {
			return nil, fmt.Errorf("lab: picket blocks --json: %w: %s", err, out)
		}
		all = append(all, some...)
	}
}

// Blocked returns the block of a source.
func (d *Daemon) Blocked(source netip.Addr) (b Block, ok bool, err error) {
	blocks, err := d.Blocks()
	for _, b := range blocks {
		if b.Covers(source) {
			return b, true, nil
		}
	}
	return Block{}, false, err
}

// WaitBlock waits until a source is blocked.
func (d *Daemon) WaitBlock(source netip.Addr, timeout time.Duration) (Block, error) {
	for limit := time.Now().Add(timeout); ; time.Sleep(pollEvery) {
		blocks, err := d.recentBlocks()
		if err != nil {
			return Block{}, err
		}
		for _, b := range blocks {
			if b.Covers(source) {
				return b, nil
			}
		}
		if time.Now().After(limit) {
			return Block{}, fmt.Errorf("lab: %s is not blocked after %v", source, timeout)
		}
	}
}

// recentBlocks is [Daemon.Blocks] for waits side by side: a list may be as old as one poll.
func (d *Daemon) recentBlocks() ([]Block, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if time.Since(d.read) < pollEvery {
		return d.blocks, nil
	}
	blocks, err := d.Blocks()
	if err != nil {
		return nil, err
	}
	d.blocks, d.read = blocks, time.Now()
	return blocks, nil
}

// Events returns the daemon's lines so far.
func (d *Daemon) Events() []string { return d.said.all() }

// WaitEvent waits for a line with every one of the words.
func (d *Daemon) WaitEvent(timeout time.Duration, words ...string) (string, error) {
	for limit := time.Now().Add(timeout); ; time.Sleep(pollEvery) {
		for _, line := range d.Events() {
			if containsAll(line, words) {
				return line, nil
			}
		}
		if time.Now().After(limit) {
			return "", fmt.Errorf("lab: no line with %q after %v in:\n%s", words, timeout,
				strings.Join(d.Events(), "\n"))
		}
	}
}

func containsAll(line string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(line, w) {
			return false
		}
	}
	return true
}

// Reload writes another configuration and sends SIGHUP. It does not wait for the reload.
// The daemon must have been started with a configuration.
func (d *Daemon) Reload(config string) error {
	if d.config == "" {
		return errors.New("lab: reload: the daemon runs on its embedded default")
	}
	if err := os.WriteFile(d.config, []byte(config), 0o600); err != nil {
		return fmt.Errorf("lab: reload: %w", err)
	}
	return d.cmd.Process.Signal(syscall.SIGHUP)
}

// Stop asks the daemon to end (SIGTERM) and waits. An error wraps *exec.ExitError if the
// exit code is not 0.
func (d *Daemon) Stop() error {
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("lab: stop: %w", err)
	}
	select {
	case <-d.ended:
		if d.err != nil {
			return fmt.Errorf("lab: picket run: %w: %s", d.err, strings.Join(d.Events(), "\n"))
		}
		return nil
	case <-time.After(stopLimit):
		d.Kill()
		return fmt.Errorf("lab: picket run does not end within %v of SIGTERM", stopLimit)
	}
}

// Kill ends the daemon at once (SIGKILL) and waits.
func (d *Daemon) Kill() {
	d.cmd.Process.Kill() // it fails only if the process has ended
	<-d.ended
}

// ExitCode returns the exit code of an ended daemon, -1 of one that runs or was killed.
func (d *Daemon) ExitCode() int {
	select {
	case <-d.ended:
		return d.cmd.ProcessState.ExitCode()
	default:
		return -1
	}
}

// lines collects the output of a process.
type lines struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	copy io.Writer
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.copy != nil {
		l.copy.Write(p) // if its reader is closed, the daemon still runs on
	}
	return l.buf.Write(p)
}

func (l *lines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := strings.TrimSuffix(l.buf.String(), "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}
