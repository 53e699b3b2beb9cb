// SPDX-License-Identifier: MIT

package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Host is one network namespace of a [Lab]. Its methods are safe for
// concurrent use.
type Host struct {
	Name             string     // of the namespace, for `ip netns exec`
	Dev              string     // the interface that faces the other host
	V4, V6           netip.Addr // the first address of each family
	Second4, Second6 netip.Addr // further ones; the zero Addr where there is none
	LinkLocal        netip.Addr // on Dev, without a zone

	lab *Lab
	ns  *os.File
}

// commandLimit bounds what [Host.Run] waits for.
const commandLimit = 60 * time.Second

// Command returns a command that runs in h. It is killed when ctx ends.
func (h *Host) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", h.Name, name}, args...)...)
	cmd.WaitDelay = time.Second
	return cmd
}

// Run runs a command in h and returns what it printed. An error carries what
// it said on standard error.
func (h *Host) Run(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	return output(h.Command(ctx, name, args...))
}

// output runs cmd and returns its standard output; an error, which wraps
// *exec.ExitError, carries its standard error.
func output(cmd *exec.Cmd) (string, error) {
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%q: %w: %s", cmd.Args, err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// NFT runs a ruleset through nft -f in h.
func (h *Host) NFT(ruleset string) error {
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	cmd := h.Command(ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(ruleset)
	_, err := output(cmd)
	return err
}

// Do runs f on a thread that is in h, so that the sockets it opens are h's.
// Threads that f starts by other means are not.
func (h *Host) Do(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		if unix.Gettid() == unix.Getpid() {
			// A process is where its main thread is, and that one never ends.
			defer runtime.UnlockOSThread()
			done <- h.Do(f)
			return
		}
		if err := unix.Setns(int(h.ns.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("lab: enter %s: %w", h.Name, err)
			return
		}
		done <- f()
	}()
	return <-done
}

// Sysctl sets pairs of a path below /proc/sys and its value.
func (h *Host) Sysctl(pairs ...string) error {
	return h.Do(func() error {
		for i := 0; i+1 < len(pairs); i += 2 {
			if err := os.WriteFile("/proc/sys/"+pairs[i], []byte(pairs[i+1]), 0); err != nil {
				return fmt.Errorf("lab: %w", err)
			}
		}
		return nil
	})
}

// Dial connects from an address of h, or from any if from is the zero Addr.
// The network is "tcp" or "udp".
func (h *Host) Dial(network string, from netip.Addr, to netip.AddrPort, timeout time.Duration) (net.Conn, error) {
	d := net.Dialer{Timeout: timeout}
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

// Reaches reports whether a TCP service answers from's handshake within
// timeout.
func (h *Host) Reaches(from netip.Addr, to netip.AddrPort, timeout time.Duration) bool {
	c, err := h.Dial("tcp", from, to, timeout)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// Listen starts a service in h on every address of the host: "tcp" accepts,
// says a line and closes; "udp" sends back what it got, from the address it
// was sent to. It serves until it is closed or the process ends.
func (h *Host) Listen(network string, port uint16) (s *Service, err error) {
	s = &Service{done: make(chan struct{})}
	err = h.Do(func() (err error) {
		switch network {
		case "tcp":
			s.listener, err = net.ListenTCP("tcp", &net.TCPAddr{Port: int(port)})
		case "udp":
			if s.packets, err = net.ListenUDP("udp", &net.UDPAddr{Port: int(port)}); err == nil {
				err = tellAddress(s.packets)
			}
		default:
			err = net.UnknownNetworkError(network)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	go s.serve()
	return s, nil
}

// tellAddress has a socket say with each datagram which address it was sent to
// (RFC 3542, 6.2), since the kernel would answer from another one.
func tellAddress(c *net.UDPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	failed := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	})
	return errors.Join(err, failed)
}

// A Service is a listener of a [Host].
type Service struct {
	listener *net.TCPListener // one of the two
	packets  *net.UDPConn
	done     chan struct{}
}

// Close ends the service; its port is closed when Close returns.
func (s *Service) Close() error {
	defer func() { <-s.done }()
	if s.listener != nil {
		return s.listener.Close()
	}
	return s.packets.Close()
}

// serve answers until the listener is closed. What becomes of an answer is the
// client's own affair.
func (s *Service) serve() {
	defer close(s.done)
	if s.listener != nil {
		for {
			c, err := s.listener.Accept()
			if err != nil {
				return
			}
			c.Write([]byte("picket lab\n"))
			c.Close()
		}
	}
	for buf, about := make([]byte, 2048), make([]byte, 256); ; {
		n, m, _, from, err := s.packets.ReadMsgUDPAddrPort(buf, about)
		if err != nil {
			return
		}
		s.packets.WriteMsgUDPAddrPort(buf[:n], about[:m], from)
	}
}

// ip runs commands of iproute2 in h.
func (h *Host) ip(commands ...string) error {
	return ipBatch([]string{"-n", h.Name}, commands...)
}

func (h *Host) close() { h.ns.Close() }
