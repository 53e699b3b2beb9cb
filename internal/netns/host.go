// SPDX-License-Identifier: MIT

package netns

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Host is one network namespace. Its methods are safe for concurrent use.
type Host struct {
	Name string // of the namespace, for `ip netns exec`

	ns *os.File
}

// CommandLimit bounds a command of [Host.Run].
const CommandLimit = 60 * time.Second

// Add makes a namespace with its loopback up. The role is part of its name.
func (g *Group) Add(role string) (*Host, error) {
	h := &Host{Name: "picket-" + role + "-" + g.ID}
	if err := ipBatch(nil, "netns add "+h.Name); err != nil {
		return nil, err
	}
	var err error
	if h.ns, err = os.Open("/run/netns/" + h.Name); err != nil {
		return nil, fmt.Errorf("netns: %w", err)
	}
	g.all = append(g.all, h)
	// Hosts do not wait for duplicate addresses or routers, do not guess the path of an answer,
	// and do not limit the errors that scanners wait for.
	err = h.Sysctl("net/ipv6/conf/all/accept_dad", "0", "net/ipv6/conf/default/accept_dad", "0",
		"net/ipv6/conf/default/accept_ra", "0", "net/ipv6/conf/default/addr_gen_mode", "1",
		"net/ipv6/conf/all/disable_ipv6", "0", "net/ipv6/conf/default/disable_ipv6", "0",
		"net/ipv4/conf/all/rp_filter", "0", "net/ipv4/conf/default/rp_filter", "0",
		"net/ipv4/icmp_ratelimit", "0", "net/ipv6/icmp/ratelimit", "0")
	if err != nil {
		return nil, err
	}
	return h, h.IP("link set lo up")
}

// Wire joins two hosts by a pair of interfaces.
func Wire(a *Host, deviceA string, b *Host, deviceB string) error {
	return ipBatch(nil, fmt.Sprintf("link add %s netns %s type veth peer name %s netns %s",
		deviceA, a.Name, deviceB, b.Name))
}

// IP runs commands of iproute2 in h, in one process: sixty addresses take no longer than one.
func (h *Host) IP(commands ...string) error {
	return ipBatch([]string{"-n", h.Name}, commands...)
}

func ipBatch(options []string, commands ...string) error {
	cmd := exec.Command("ip", append(options, "-batch", "-")...)
	cmd.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("netns: ip: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// FD returns the namespace's descriptor, valid until the group is closed.
func (h *Host) FD() int { return int(h.ns.Fd()) }

// Command returns a command that runs in h. It is killed when ctx ends.
func (h *Host) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", h.Name, name}, args...)...)
	cmd.WaitDelay = time.Second
	return cmd
}

// Run runs a command in h and returns its output. An error carries its standard
// error.
func (h *Host) Run(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), CommandLimit)
	defer cancel()
	return Output(h.Command(ctx, name, args...))
}

// Output runs cmd and returns its standard output; an error, which wraps
// *exec.ExitError, carries its standard error.
func Output(cmd *exec.Cmd) (string, error) {
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%q: %w: %s", cmd.Args, err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// Do runs f on a thread in h: sockets opened by f are h's. Threads started by f are
// not in h.
func (h *Host) Do(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		if unix.Gettid() == unix.Getpid() {
			// The main thread never ends, and its namespace counts as the process's.
			defer runtime.UnlockOSThread()
			done <- h.Do(f)
			return
		}
		if err := unix.Setns(int(h.ns.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("netns: enter %s: %w", h.Name, err)
			return
		}
		done <- f()
	}()
	return <-done
}

// own runs a program with a resolv.conf of its own and without the machine's
// journal, resolvers and /etc/picket. "ip netns exec" gives each process a mount
// namespace of its own, so nobody else sees it.
const own = `mount --bind "$1" /etc/resolv.conf
for d in /run/systemd /etc/picket; do [ ! -d "$d" ] || mount -t tmpfs none "$d"; done
shift
exec "$@"`

// Alone is [Host.Command] for a picket that sees no service and no file of the machine: resolv
// is the path of its resolv.conf, folder the parent of its run-time and state folders.
func (h *Host) Alone(ctx context.Context, resolv, folder string, argv ...string) *exec.Cmd {
	cmd := h.Command(ctx, "sh", append([]string{"-c", own, "picket-lab", resolv}, argv...)...)
	// Only what every program needs: a systemd above has put more into the environment.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GORACE=" + os.Getenv("GORACE"),
		"RUNTIME_DIRECTORY=" + filepath.Join(folder, "run"),
		"STATE_DIRECTORY=" + filepath.Join(folder, "state")}
	return cmd
}

// Sysctl sets pairs of a path below /proc/sys and its value.
func (h *Host) Sysctl(pairs ...string) error {
	return h.Do(func() error {
		for i := 0; i+1 < len(pairs); i += 2 {
			if err := os.WriteFile("/proc/sys/"+pairs[i], []byte(pairs[i+1]), 0); err != nil {
				return fmt.Errorf("netns: %w", err)
			}
		}
		return nil
	})
}

// Dial connects from an address of h, or from any if from is the zero Addr. The
// network is "tcp" or "udp".
func (h *Host) Dial(network string, from netip.Addr, to netip.AddrPort, wait time.Duration) (
	net.Conn, error,
) {
	d := net.Dialer{Timeout: wait}
	if from.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
		if network == "udp" {
			d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
		}
	}
	var c net.Conn
	err := h.Do(func() (err error) {
		c, err = d.Dial(network, to.String())
		return err
	})
	return c, err
}

// Reaches reports whether a TCP service answers from's handshake within timeout.
func (h *Host) Reaches(from netip.Addr, to netip.AddrPort, timeout time.Duration) bool {
	c, err := h.Dial("tcp", from, to, timeout)
	if err != nil {
		return false
	}
	c.Close()
	return true
}
