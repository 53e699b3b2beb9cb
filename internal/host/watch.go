// SPDX-License-Identifier: MIT

package host

import (
	"context"
	"errors"
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

// Watch calls changed once it would hear of changes, for those before, and after
// each change of addresses, routes or resolv.conf, until ctx ends. It subscribes
// in the calling thread's network namespace. It fails when so much changes at
// once that the kernel loses some of it; then call it again.
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
	pending := time.After(0)
	// A burst is looked at when its first change has settled: the next ones may
	// never end.
	wait := func() {
		if pending == nil {
			pending = time.After(settle)
		}
	}
	for {
		ok := true
		select {
		case <-ctx.Done():
			return nil
		case _, ok = <-addrs:
			wait()
		case _, ok = <-routes:
			wait()
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
			return errors.New("watch addresses and routes: the kernel's notifications ended")
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
