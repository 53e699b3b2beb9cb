// SPDX-License-Identifier: MIT

// Package trap answers connections to ports that nothing serves, and reports
// who made them: classic mode's evidence, for a source that completed a TCP
// handshake is real.
//
// One listener serves every port. The managed table redirects connections to classic
// ports to it, and the kernel knows the dialled port (SO_ORIGINAL_DST). The trap sends
// a peer the banner, if there is one, listens for a moment, and hangs up. It reports a
// connection when it accepts it, so that a peer who holds it open is judged all the
// same, and again when it has the peer's first bytes.
//
// It cannot be worn out: connections at once, the time of each and the bytes kept of
// each are bounded. A connection above the bound is reset at once, counted and still
// reported: its handshake is complete too.
//
// It needs no privilege: the redirection lets the listener have any port.
package trap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// The bounds that a zero [Config] stands for. 256 connections with 512 bytes
// kept of each cost about 3 MB with their goroutines; two seconds are enough
// for a client that speaks first to do so, and few enough for a report to be of
// use.
const (
	DefaultConnections = 256
	DefaultTime        = 2 * time.Second
)

// A Config bounds a [Trap]. The zero Config sends no banner, keeps nothing of
// what a peer sends and has the default bounds.
type Config struct {
	Banner      []byte        // sent to each peer as soon as it is connected
	Connections int           // served at once; 0 is DefaultConnections
	Time        time.Duration // for each connection; 0 is DefaultTime
	Bytes       int           // kept of what the peer sends first; 0 for nothing

	// Trouble gets the error of a listener that cannot accept for now (out of file
	// descriptors, for instance), once until it can again. It may be nil, and must be
	// safe for concurrent use.
	Trouble func(error)
}

// headBytes is how many bytes of a connection are looked at if none are kept: enough
// for the head of an HTTP request or of a TLS record.
const headBytes = 16

// A Connection is one completed handshake.
type Connection struct {
	Source      netip.AddrPort // the peer, without a zone; IPv4 is never IPv4-mapped
	Destination netip.AddrPort // the address and port that the peer dialled
	At          time.Time      // when the connection was accepted
	Open        bool           // accepted just now: one more report says how it began
	Refused     bool           // reset at once: too many were open
	Head        []byte         // the peer's first bytes, to look at and not to keep: at most 16
	Data        []byte         // the peer's first bytes, to keep: at most Config.Bytes; any bytes at all
}

// A Trap answers what its listeners accept.
type Trap struct {
	config    Config
	listeners []net.Listener
	slots     chan struct{}
}

// Listen opens a listener for both families (IPv4 alone where the host has no
// IPv6) on port, or on one that the kernel chooses if port is 0.
func Listen(ctx context.Context, port uint16, c Config) (*Trap, error) {
	// Linux does not give the original destination of a multipath connection
	// (net/mptcp/sockopt.c), and Go listens for those by default.
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(ctx, "tcp", netip.AddrPortFrom(netip.IPv6Unspecified(), port).String())
	if errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL) {
		l, err = lc.Listen(ctx, "tcp4", netip.AddrPortFrom(netip.IPv4Unspecified(), port).String())
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen trap port %d: %w: name another port, or 0 for any free one, or stop "+
			"what holds it (ss -tlnp)", port, err)
	}
	if errors.Is(err, syscall.EAFNOSUPPORT) {
		return nil, fmt.Errorf("listen trap port %d: %w: picket.service may not open it, picket-trap.socket "+
			"does that: systemctl status picket-trap.socket says what is wrong; then "+
			"systemctl restart picket", port, err)
	}
	if err != nil {
		return nil, fmt.Errorf("listen trap port %d: %w", port, err)
	}
	return New(c, l), nil
}

// New makes a trap of open listeners, such as systemd passes. From now on the trap
// closes them.
func New(c Config, listeners ...net.Listener) *Trap {
	if c.Connections == 0 {
		c.Connections = DefaultConnections
	}
	if c.Time == 0 {
		c.Time = DefaultTime
	}
	for _, l := range listeners {
		answerOnce(l)
	}
	return &Trap{config: c, listeners: listeners, slots: make(chan struct{}, c.Connections)}
}

// Addrs returns the addresses of the listeners: the table redirects to their ports.
func (t *Trap) Addrs() []netip.AddrPort {
	var a []netip.AddrPort
	for _, l := range t.listeners {
		a = append(a, addrPort(l.Addr()))
	}
	return a
}

// Close closes the listeners, for a trap that is not served.
func (t *Trap) Close() error {
	var errs []error
	for _, l := range t.listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// Serve answers until ctx is done and then closes listeners and connections;
// it returns when the last of them is gone. Many goroutines at once call report: twice
// for each connection, when it is accepted and when the peer has spoken or hung up,
// and once for a refused one. A call that blocks holds its connection's slot.
//
// The error is that of a listener that failed for good; the others are closed
// with it. It is nil when ctx was done.
func (t *Trap) Serve(ctx context.Context, report func(Connection)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var served sync.WaitGroup
	errs := make([]error, len(t.listeners))
	for i, l := range t.listeners {
		served.Go(func() {
			defer cancel()
			if err := t.accept(ctx, l, report, &served); ctx.Err() == nil {
				errs[i] = fmt.Errorf("trap listener %v: %w", l.Addr(), err)
			}
		})
	}
	<-ctx.Done()
	closed := t.Close()
	served.Wait()
	return errors.Join(append(errs, closed)...)
}

// accept takes connections off l until it fails for good. After a failure for lack of
// memory or descriptors, or because the peer has gone already, it tries again, at
// intervals of up to a second.
func (t *Trap) accept(
	ctx context.Context, l net.Listener, report func(Connection), served *sync.WaitGroup,
) error {
	var pause time.Duration
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
		case errors.Is(err, syscall.ECONNABORTED):
			continue
		case !lacking(err):
			return err
		default:
			if pause == 0 && t.config.Trouble != nil {
				t.config.Trouble(fmt.Errorf("trap listener %v: %w: connections wait until there is room",
					l.Addr(), err))
			}
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			select {
			case <-time.After(pause):
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		seen := Connection{Source: addrPort(c.RemoteAddr()), Destination: dialled(c), At: time.Now()}
		select {
		case t.slots <- struct{}{}:
			served.Go(func() {
				defer func() { <-t.slots }()
				seen.Open = true
				report(seen)
				seen.Open = false
				seen.Head, seen.Data = t.answer(ctx, c)
				report(seen)
			})
		default:
			reset(c)
			seen.Refused = true
			report(seen)
		}
	}
}

// lacking reports whether err is a lack of descriptors or memory: that passes.
func lacking(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// answer sends the banner, returns the peer's first bytes, to look at and to keep, and
// hangs up. After the banner the peer sees the end of our side at once, as PortSentry
// has it. An error here is the peer's doing and of no interest.
func (t *Trap) answer(ctx context.Context, c net.Conn) (head, data []byte) {
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if err := c.SetDeadline(time.Now().Add(t.config.Time)); err != nil {
		return nil, nil
	}
	if len(t.config.Banner) > 0 {
		if _, err := c.Write(t.config.Banner); err != nil {
			return nil, nil
		}
		if w, ok := c.(interface{ CloseWrite() error }); ok && w.CloseWrite() != nil {
			return nil, nil
		}
	}
	b := make([]byte, max(t.config.Bytes, headBytes))
	n, _ := c.Read(b)
	kept := min(n, t.config.Bytes)
	return b[:min(n, headBytes)], b[:kept:kept]
}

// reset hangs up without the time that an orderly end takes.
func reset(c net.Conn) {
	if l, ok := c.(interface{ SetLinger(int) error }); ok {
		_ = l.SetLinger(0) // without it the end is orderly, and no worse
	}
	_ = c.Close()
}
