// SPDX-License-Identifier: MIT

package host

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"picket/internal/nlmsg"
)

// settle is the wait before a look, for a burst of changes (an interface that comes
// up) to end. After a look comes a rest of share times its length: endless changes take
// one part in share of a processor.
const (
	settle = 100 * time.Millisecond
	share  = 400

	// longest bounds a rest: whatever changes is noticed after that, however busy the
	// machine is. A look at 200,000 routes takes 80 ms.
	longest = 30 * time.Second

	// prompt bounds it for the host's own addresses, which are protected from then on. They
	// change seldom, and routes that change all the time must not delay them.
	prompt = time.Second
)

// Watch calls changed once when its subscription stands, for changes before that, and
// after each change of addresses, next hops or the files of resolvers and time
// servers, until ctx ends. It subscribes in the calling thread's network namespace.
func (h *Host) Watch(ctx context.Context, changed func()) error {
	var sockets []*os.File
	for _, groups := range subscriptions {
		f, err := subscribe(groups)
		if err != nil {
			return err
		}
		defer f.Close()
		defer context.AfterFunc(ctx, func() { f.Close() })()
		sockets = append(sockets, f)
	}
	h.mu.Lock()
	h.hops = nil // changes went unheard until now
	h.mu.Unlock()
	n := notices{make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}, 1)}
	failed := make(chan error, len(sockets))
	for _, f := range sockets {
		go func() { failed <- h.listen(f, n) }()
	}
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	go watchFiles(within, sources, n.news)
	tell, look := newPause(0), newPause(-1)
	for {
		select {
		case err := <-failed:
			if ctx.Err() != nil {
				return nil
			}
			return err
		case <-n.moved:
			tell.due(prompt)
		case <-n.news:
			tell.due(longest)
		case <-n.gone:
			look.due(longest)
		case <-look.timer:
			look.do(func() {
				if h.look() {
					tell.due(longest)
				}
			})
		case <-tell.timer:
			tell.do(changed)
		}
	}
}

// The notices of changes, each said once until it is heard.
type notices struct {
	moved chan struct{} // an address of the host came or went
	news  chan struct{} // anything else may have changed
	gone  chan struct{} // a next hop may be gone
}

// A pause spaces the looks: settle before one, and a rest of share times its length
// after it.
type pause struct {
	timer <-chan time.Time // nil: nothing is due
	at    time.Time        // when the timer ends
	rest  time.Time
}

func newPause(first time.Duration) (p pause) {
	if first >= 0 {
		p.timer = time.After(first)
	}
	return p
}

// due has a look made after the rest, and after so long at most.
func (p *pause) due(most time.Duration) {
	wait := max(settle, min(time.Until(p.rest), most))
	if at := time.Now().Add(wait); p.timer == nil || at.Before(p.at) {
		p.timer, p.at = time.After(wait), at
	}
}

func (p *pause) do(f func()) {
	p.timer = nil
	began := time.Now()
	f()
	p.rest = time.Now().Add(min(share*time.Since(began), longest))
}

// look asks for the next hops anew, and reports whether they changed. If the kernel
// does not answer, the last ones hold.
func (h *Host) look() (changed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.hops == nil {
		return false // Friends will ask
	}
	found, err := nextHops()
	if err != nil || maps.Equal(found, h.hops) {
		return false
	}
	h.hops = found
	return true
}

// The groups of notifications, by socket (include/uapi/linux/rtnetlink.h): a burst of routes
// overruns the queue of its socket, and takes no notice of an address along.
var subscriptions = [][]int{
	{unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR},
	{unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_NEXTHOP, unix.RTNLGRP_LINK,
		unix.RTNLGRP_NEIGH},
}

// notifications is the kernel's buffer for us, in bytes: some 10,000 changes of routes.
const notifications = 4 << 20

// subscribe opens a socket for the kernel's notices of changes.
func subscribe(groups []int) (*os.File, error) {
	const kind = unix.SOCK_RAW | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK
	fd, err := unix.Socket(unix.AF_NETLINK, kind, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("watch addresses and routes: %w", err)
	}
	// Without the privilege the buffer is smaller, and overruns sooner.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, notifications)
	err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	for _, g := range groups {
		member := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, g)
		if err == nil && g != unix.RTNLGRP_NEXTHOP { // missing before Linux 5.3
			err = member
		}
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("watch addresses and routes: %w", err)
	}
	return os.NewFile(uintptr(fd), "rtnetlink"), nil
}

// gather is how long the first notification of a burst waits for others: one wake-up
// reads the burst.
const gather = 10 * time.Millisecond

// listen reads notifications until f is closed.
func (h *Host) listen(f *os.File, to notices) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	for buffer := make([]byte, datagram); ; {
		var n int
		var failed error
		waited := false
		err := raw.Read(func(fd uintptr) bool {
			n, _, failed = unix.Recvfrom(int(fd), buffer, 0)
			again := errors.Is(failed, unix.EAGAIN)
			waited = waited || again
			return !again
		})
		switch {
		case err != nil:
			return fmt.Errorf("watch addresses and routes: %w", err)
		case errors.Is(failed, unix.ENOBUFS): // more changes than the kernel's buffer holds
			say(to.news)
			say(to.gone)
			continue
		case errors.Is(failed, unix.EINTR):
			continue
		case failed != nil:
			return fmt.Errorf("watch addresses and routes: %w", failed)
		}
		h.hear(buffer[:n], to)
		if waited {
			time.Sleep(gather)
		}
	}
}

func say(to chan<- struct{}) {
	select {
	case to <- struct{}{}:
	default: // already said
	}
}

// hear reads a datagram of notifications.
func (h *Host) hear(b []byte, to notices) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for kind, body := range nlmsg.Messages(b) {
		switch kind {
		case unix.RTM_NEWADDR, unix.RTM_DELADDR:
			say(to.moved)
		case unix.RTM_DELROUTE, unix.RTM_DELNEXTHOP, unix.RTM_DELLINK:
			say(to.gone)
		case unix.RTM_DELNEIGH:
			if otherEnd(body).IsValid() {
				say(to.gone)
			}
		default:
			if h.hops != nil && h.hops.read(kind, body) {
				say(to.news)
			}
		}
	}
}
