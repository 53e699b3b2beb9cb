// SPDX-License-Identifier: MIT

package host

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/vishvananda/netlink"
)

// settle is how long a burst of changes (an interface that comes up) may last
// before it is looked at, and poll how often resolv.conf is.
const (
	settle = 100 * time.Millisecond
	poll   = 5 * time.Second
)

// Watch calls changed after each change of addresses, routes or resolv.conf,
// until ctx ends. It subscribes in the calling thread's network namespace.
func Watch(ctx context.Context, changed func()) error {
	done := make(chan struct{})
	defer close(done)
	addrs, routes := make(chan netlink.AddrUpdate, 64), make(chan netlink.RouteUpdate, 64)
	if err := netlink.AddrSubscribe(addrs, done); err != nil {
		return fmt.Errorf("watch addresses: %w", err)
	}
	if err := netlink.RouteSubscribe(routes, done); err != nil {
		return fmt.Errorf("watch routes: %w", err)
	}
	tick := time.NewTicker(poll)
	defer tick.Stop()
	last := stamp()
	var pending <-chan time.Time
	for {
		ok := true
		select {
		case <-ctx.Done():
			return nil
		case _, ok = <-addrs:
			pending = time.After(settle)
		case _, ok = <-routes:
			pending = time.After(settle)
		case <-tick.C:
			if now := stamp(); now != last {
				last = now
				pending = time.After(0)
			}
		case <-pending:
			pending = nil
			changed()
		}
		if !ok {
			return fmt.Errorf("watch addresses and routes: the kernel's notifications ended")
		}
	}
}

// stamp changes when one of the resolv.conf files does.
func stamp() (s [len(resolvConfs)]time.Time) {
	for i, file := range resolvConfs {
		if info, err := os.Stat(file); err == nil {
			s[i] = info.ModTime()
		}
	}
	return s
}
