// SPDX-License-Identifier: MIT

package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"

	"picket/internal/netns"
)

// A Host is one network namespace of a [Lab]. Its methods are safe for concurrent use.
type Host struct {
	*netns.Host

	Dev              string     // the interface on the wire
	V4, V6           netip.Addr // the first address of each family
	Second4, Second6 netip.Addr // further ones; the zero Addr for none
	LinkLocal        netip.Addr // on Dev, without a zone

	lab *Lab
}

// NFT runs a ruleset through nft -f in h.
func (h *Host) NFT(ruleset string) error {
	ctx, cancel := context.WithTimeout(context.Background(), netns.CommandLimit)
	defer cancel()
	cmd := h.Command(ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(ruleset)
	_, err := netns.Output(cmd)
	return err
}

// Echo starts a TCP service that sends back what it gets, until the client's end. Close it.
func (h *Host) Echo(port uint16) (l net.Listener, err error) {
	if err := h.Do(func() (err error) {
		l, err = net.ListenTCP("tcp", &net.TCPAddr{Port: int(port)})
		return err
	}); err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	return l, nil
}

// Listen starts a service in h on every address of the host: "tcp" accepts, writes a line and
// closes; "udp" sends a datagram back, from the address it was sent to. It serves until it is
// closed or the process ends.
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

// tellAddress has a socket report the destination address of each datagram (RFC 3542, 6.2).
// Without it, the kernel would answer from another address.
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

// serve answers until the listener is closed. A failed answer is no error here: the client
// notices.
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
