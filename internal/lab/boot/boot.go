// SPDX-License-Identifier: MIT

// Package boot boots the real systemd for a test: a copy of this machine's root, as an
// overlay with its changes in memory, in a container of systemd-nspawn with a network
// namespace of its own.
//
// It does not touch the machine: its files are the lower, unwritten layer, and mounts and
// namespaces belong to processes that the kernel ends with the test. After a killed test,
// empty control group directories remain.
//
// It needs root, and systemd-nspawn of Debian's systemd-container.
package boot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Options say what to boot. The zero Options boot to multi-user.target, with a loopback
// interface alone.
type Options struct {
	// Target is the unit to boot to; "" is multi-user.target.
	Target string
	// Network sets up the network namespace of process pid, before each boot: the kernel's
	// state of an earlier boot is gone, as on a machine.
	Network func(pid int) error
	// Arguments are further arguments of the kernel's command line.
	Arguments []string
}

// A System is a machine, on or off. It is for one goroutine; commands of [System.Command] may
// run beside each other.
type System struct {
	options Options
	name    string
	disk    *process // keeps the mounts
	network *process // keeps the network namespace of this boot
	machine *process // systemd-nspawn; nil when off
	groups  []string // control groups
	leader  int      // the container's PID 1, in this machine's numbering
	console bytes.Buffer
}

// mounted is the root of the system in the disk's mount namespace.
const mounted = "/mnt/root"

// New makes a system that is off. Close removes it.
func New(o Options) (*System, error) {
	if _, err := exec.LookPath("systemd-nspawn"); err != nil {
		return nil, fmt.Errorf("boot: %w: install the package systemd-container", err)
	}
	s := &System{options: o}
	disk, err := start(nil, "unshare", "--mount", "--propagation", "private", "sh", "-ec", `
		mount -t tmpfs -o size=2g tmpfs /mnt
		mkdir /mnt/upper /mnt/work /mnt/root
		mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
		cd /mnt/root
		# Nothing that this machine has enabled or forbidden to be started, and
		# nothing that it has logged.
		rm -rf etc/systemd/system/*.wants usr/sbin/policy-rc.d var/log/journal
		mkdir -p -m 2755 var/log/journal
		echo mounted
		exec sleep infinity`)
	if err != nil {
		return nil, fmt.Errorf("boot: %w", err)
	}
	s.disk = disk
	s.name = fmt.Sprintf("picket-%d-%d", os.Getpid(), disk.pid())
	if err := disk.says("mounted"); err != nil {
		return nil, errors.Join(fmt.Errorf("boot: mount: %w", err), s.Close())
	}
	if err := s.makeGroups(); err != nil {
		return nil, errors.Join(fmt.Errorf("boot: %w", err), s.Close())
	}
	return s, nil
}

// Path returns the path from outside for a path of the system, on or off. Absolute links lead
// to the machine's own files.
func (s *System) Path(path string) string {
	return filepath.Join("/proc", strconv.Itoa(s.disk.pid()), "root", mounted, path)
}

// NetworkPID returns a process in the network namespace of the present boot, or 0 of a system
// that is off.
func (s *System) NetworkPID() int {
	if s.network == nil {
		return 0
	}
	return s.network.pid()
}

// Boot switches the system on and waits until it is up. Its disk is as before; the kernel's
// state is new.
func (s *System) Boot(ctx context.Context) error {
	if s.machine != nil {
		return errors.New("boot: it is on")
	}
	if err := s.boot(ctx); err != nil {
		return errors.Join(fmt.Errorf("boot: %w\n%s", err, s.console.Bytes()), s.Kill())
	}
	return nil
}

func (s *System) boot(ctx context.Context) error {
	network, err := start(nil, "unshare", "--net", "sh", "-ec",
		"ip link set lo up; echo up; exec sleep infinity")
	if err != nil {
		return err
	}
	s.network = network
	if err := network.says("up"); err != nil {
		return err
	}
	if s.options.Network != nil {
		if err := s.options.Network(network.pid()); err != nil {
			return err
		}
	}
	target := s.options.Target
	if target == "" {
		target = "multi-user.target"
	}
	s.console.Reset()
	// The shell puts itself into the control groups. The PID namespace ends with its first
	// process, systemd-nspawn. The container would outlive that, but ends with unshare.
	args := append([]string{"--target", strconv.Itoa(s.disk.pid()), "--mount", "sh", "-ec",
		`for g in $1; do echo $$ > $g/cgroup.procs; done
		exec 9< $2 # its number means nothing to the PID namespace
		shift 2
		exec unshare --pid --fork --kill-child --mount-proc systemd-nspawn "$@"`,
		"sh", strings.Join(s.groups, " "), fmt.Sprintf("/proc/%d/ns/net", network.pid()),
		"--directory", mounted, "--machine", s.name, "--boot", "--register=no", "--keep-unit",
		"--console=pipe",
		"--link-journal=no", "--resolv-conf=off", "--timezone=off", "--capability=CAP_NET_ADMIN",
		"--network-namespace-path=/proc/self/fd/9",
		"systemd.unit=" + target, "systemd.mask=getty.target"}, s.options.Arguments...)
	machine, err := start(&s.console, "nsenter", args...)
	if err != nil {
		return err
	}
	s.machine = machine
	if err := s.findLeader(ctx); err != nil {
		return err
	}
	// A degraded system is an error here too, but may do.
	for ctx.Err() == nil && !machine.ended() {
		out, _ := s.Command(ctx, "systemctl", "is-system-running", "--wait").Output()
		switch state := strings.TrimSpace(string(out)); state {
		case "running", "degraded":
			return nil
		case "maintenance", "stopping":
			return fmt.Errorf("the system is in state %s", state)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return errors.Join(errors.New("the system does not come up"), ctx.Err())
}

// findLeader waits until the grandchild of the machine's process is systemd.
func (s *System) findLeader(ctx context.Context) error {
	for ; ctx.Err() == nil && !s.machine.ended(); time.Sleep(2 * time.Millisecond) {
		for _, nspawn := range children(s.machine.pid()) {
			for _, leader := range children(nspawn) {
				exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", leader))
				if err == nil && filepath.Base(exe) == "systemd" {
					s.leader = leader
					return nil
				}
			}
		}
	}
	return errors.Join(errors.New("systemd does not start"), ctx.Err())
}

// children returns the children of a process; of an ended one there are none.
func children(pid int) []int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil
	}
	var pids []int
	for _, word := range strings.Fields(string(b)) {
		if child, err := strconv.Atoi(word); err == nil {
			pids = append(pids, child)
		}
	}
	return pids
}

// Command is a command inside the running system, as root, with the environment of a login.
func (s *System) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "nsenter",
		append([]string{"--target", strconv.Itoa(s.leader), "--all", "--", name}, args...)...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
		"LC_ALL=C.UTF-8",
		"DEBIAN_FRONTEND=noninteractive", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER="}
	return cmd
}

// Run runs a command inside the system. An error holds the output.
func (s *System) Run(ctx context.Context, name string, args ...string) (string, error) {
	out, err := s.Command(ctx, name, args...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// Journal returns the entries found by journalctl, each with its text fields.
func (s *System) Journal(ctx context.Context, match ...string) ([]map[string]string, error) {
	out, err := s.Command(ctx, "journalctl",
		append([]string{"--output=json", "--no-pager", "--quiet"}, match...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("journalctl %s: %w", strings.Join(match, " "), err)
	}
	var entries []map[string]string
	for lines := json.NewDecoder(bytes.NewReader(out)); lines.More(); {
		var fields map[string]any
		if err := lines.Decode(&fields); err != nil {
			return nil, fmt.Errorf("journalctl %s: %w", strings.Join(match, " "), err)
		}
		entry := make(map[string]string)
		for name, value := range fields {
			if text, ok := value.(string); ok {
				entry[name] = text
			}
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

// PowerOff shuts the system down in good order.
func (s *System) PowerOff(ctx context.Context) error {
	if s.machine == nil {
		return nil
	}
	if _, err := s.Run(ctx, "systemctl", "poweroff"); err != nil && !s.machine.ended() {
		return errors.Join(err, s.Kill())
	}
	if err := s.machine.wait(ctx); err != nil {
		return errors.Join(fmt.Errorf("boot: power off: %w\n%s", err, s.console.Bytes()), s.Kill())
	}
	return s.Kill()
}

// Reboot is [System.PowerOff] and [System.Boot].
func (s *System) Reboot(ctx context.Context) error {
	if err := s.PowerOff(ctx); err != nil {
		return err
	}
	return s.Boot(ctx)
}

// Kill switches the system off as a power cut does.
func (s *System) Kill() error {
	if s.machine != nil {
		// systemd-nspawn ends first, so that its parent sees the end. Otherwise it becomes a
		// zombie where PID 1 does not wait for orphans.
		for _, nspawn := range children(s.machine.pid()) {
			_ = syscall.Kill(nspawn, syscall.SIGKILL) // perhaps already ended
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = s.machine.wait(ctx) // the error says only that it was killed
	}
	err := errors.Join(s.machine.kill(), s.network.kill())
	s.machine, s.network, s.leader = nil, nil, 0
	return err
}

// Close switches the system off and removes it.
func (s *System) Close() error {
	return errors.Join(s.Kill(), s.disk.kill(), s.removeGroups())
}
