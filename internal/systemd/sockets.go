// SPDX-License-Identifier: MIT

// Package systemd speaks with the service manager: it takes sockets by name, and
// reports states, with the watchdog and the store of file descriptors.
//
// It refuses descriptors of an unknown name or the wrong kind, and takes the
// others. Away from systemd there are no sockets, and every report is a no-op.
//
// It needs no privilege. The protocols are sd_listen_fds(3) and sd_notify(3).
package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"
)

// The names of descriptors: FileDescriptorName= of the socket units, and FDNAME=
// of the store.
const (
	ControlName = "control" // the listening unix stream socket of the command line
	TrapName    = "trap"    // a listening TCP socket of classic mode; there may be several
)

// nflogName begins the names of stored sockets; the group follows.
const nflogName = "nflog-"

// NFLOGName is the name, in the store, of the socket of an NFLOG group.
func NFLOGName(group uint16) string { return nflogName + strconv.Itoa(int(group)) }

// Sockets are the descriptors from systemd. The zero Sockets holds none.
type Sockets struct {
	Control net.Listener   // nil if none was passed
	Traps   []net.Listener // in the order passed
	NFLOG   []*os.File     // netfilter sockets of an earlier process, named by NFLOGName
}

// Activated takes the passed descriptors over, once: they are closed on exec, and
// their environment is unset.
//
// The error joins one for each descriptor refused and closed; the Sockets hold the
// rest and are valid in any case.
func Activated() (Sockets, error) {
	var s Sockets
	var errs []error
	for _, f := range activation.Files(true) {
		keep, err := s.take(f)
		if err != nil {
			errs = append(errs, fmt.Errorf("systemd passed descriptor %d, %q: %w", f.Fd(), f.Name(), err))
		}
		if !keep {
			errs = append(errs, f.Close())
		}
	}
	return s, errors.Join(errs...)
}

// take puts f in its place; keep is false if f itself is no longer needed.
func (s *Sockets) take(f *os.File) (keep bool, err error) {
	switch f.Name() {
	case ControlName:
		if s.Control != nil {
			return false, errors.New("a second control socket: name one ListenStream= in picket.socket")
		}
		s.Control, err = listener(f, "a listening unix stream socket (ListenStream=/run/picket/control.sock)",
			unix.AF_UNIX)
		return false, err
	case TrapName:
		l, err := listener(f, "a listening TCP socket (ListenStream= with a port)", unix.AF_INET,
			unix.AF_INET6)
		if err == nil {
			s.Traps = append(s.Traps, l)
		}
		return false, err
	}
	if strings.HasPrefix(f.Name(), nflogName) {
		k, err := kindOf(f)
		if err != nil {
			return false, err
		}
		if k.domain != unix.AF_NETLINK || k.protocol != unix.NETLINK_NETFILTER {
			return false, fmt.Errorf("it is %v, not a netfilter netlink socket, which is all that picket "+
				"stores", k)
		}
		s.NFLOG = append(s.NFLOG, f)
		return true, nil
	}
	return false, fmt.Errorf("unknown name: set FileDescriptorName= to %q or %q in the unit that passes it",
		ControlName, TrapName)
}

// listener makes a listener of f, a listening stream socket in one of domains.
func listener(f *os.File, wanted string, domains ...int) (net.Listener, error) {
	k, err := kindOf(f)
	if err != nil {
		return nil, err
	}
	ok := k.kind == unix.SOCK_STREAM && k.listening &&
		(k.domain == unix.AF_UNIX || k.protocol == unix.IPPROTO_TCP)
	for _, d := range domains {
		if ok && k.domain == d {
			return net.FileListener(f)
		}
	}
	return nil, fmt.Errorf("it is %v, not %s", k, wanted)
}

// A kind is the kernel's description of a socket.
type kind struct {
	domain, kind, protocol int
	listening              bool
}

func kindOf(f *os.File) (kind, error) {
	var values [4]int
	for i, option := range [...]int{unix.SO_DOMAIN, unix.SO_TYPE, unix.SO_PROTOCOL, unix.SO_ACCEPTCONN} {
		v, err := unix.GetsockoptInt(int(f.Fd()), unix.SOL_SOCKET, option)
		if errors.Is(err, unix.ENOTSOCK) {
			return kind{}, errors.New("it is no socket")
		}
		if err != nil {
			return kind{}, os.NewSyscallError("getsockopt", err)
		}
		values[i] = v
	}
	return kind{values[0], values[1], values[2], values[3] != 0}, nil
}

// String describes the socket for a message.
func (k kind) String() string {
	domain := map[int]string{unix.AF_UNIX: "unix", unix.AF_INET: "IPv4", unix.AF_INET6: "IPv6",
		unix.AF_NETLINK: "netlink"}[k.domain]
	if domain == "" {
		domain = fmt.Sprintf("domain %d", k.domain)
	}
	typ := map[int]string{unix.SOCK_STREAM: "stream", unix.SOCK_DGRAM: "datagram", unix.SOCK_RAW: "raw",
		unix.SOCK_SEQPACKET: "seqpacket"}[k.kind]
	if typ == "" {
		typ = fmt.Sprintf("type %d", k.kind)
	}
	state := "not listening"
	if k.listening {
		state = "listening"
	}
	return fmt.Sprintf("a %s %s socket of protocol %d, %s", domain, typ, k.protocol, state)
}
