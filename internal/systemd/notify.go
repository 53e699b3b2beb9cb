// SPDX-License-Identifier: MIT

package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"picket/internal/show"
)

// Ready reports the end of a start or reload, and what picket does now.
func Ready(status string) error {
	return notify(daemon.SdNotifyReady, statusLine(status))
}

// Reloading reports the beginning of a reload; [Ready] ends it. Type=notify-reload
// asks for the time.
func Reloading() error {
	return notify(daemon.SdNotifyReloading, strings.TrimSpace(daemon.SdNotifyMonotonicUsec()))
}

// Status sets the line of systemctl status, for people.
func Status(status string) error {
	return notify(statusLine(status))
}

// Stopping reports the beginning of the end.
func Stopping(status string) error {
	return notify(daemon.SdNotifyStopping, statusLine(status))
}

// Alive feeds the watchdog. The watched loop calls it, at the interval of
// [Watchdog].
func Alive() error {
	return notify(daemon.SdNotifyWatchdog)
}

// Watchdog returns the interval of [Alive]: half of WatchdogSec=, by
// sd_watchdog_enabled(3), or 0 without a watchdog.
func Watchdog() (time.Duration, error) {
	limit, err := daemon.SdWatchdogEnabled(false)
	return limit / 2, err
}

// Store gives systemd a copy of the descriptor of c to keep under name; [Activated]
// returns it to the next process of this service, after a crash too. The unit must
// have FileDescriptorStoreMax=; systemd does not say whether it kept the copy.
// FDPOLL=0: an idle netlink socket may report an error that is not its end.
func Store(name string, c syscall.Conn) error {
	address := notifyAddress()
	if address == nil {
		return nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return fmt.Errorf("store descriptor %q: %w", name, err)
	}
	// Unbound and not connected: package net writes no control messages to an address
	// over a connected socket.
	out, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("store descriptor %q: %w", name, err)
	}
	defer out.Close()
	state := []byte("FDSTORE=1\nFDNAME=" + name + "\nFDPOLL=0")
	controlled := raw.Control(func(fd uintptr) {
		_, _, err = out.WriteMsgUnix(state, unix.UnixRights(int(fd)), address)
	})
	if err := errors.Join(controlled, err); err != nil {
		return fmt.Errorf("store descriptor %q: %w", name, err)
	}
	return nil
}

// Forget has systemd close the descriptors under name.
func Forget(name string) error {
	return notify("FDSTOREREMOVE=1", "FDNAME="+name)
}

func notify(assignments ...string) error {
	if _, err := daemon.SdNotify(false, strings.Join(assignments, "\n")); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	return nil
}

// statusLine keeps a status to one line: text after a newline would be an
// assignment of its own.
func statusLine(status string) string {
	return "STATUS=" + show.Clean(status)
}

// notifyAddress is nil away from systemd.
func notifyAddress() *net.UnixAddr {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	return &net.UnixAddr{Name: name, Net: "unixgram"}
}
