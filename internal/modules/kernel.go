// SPDX-License-Identifier: MIT

package modules

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// ErrPermission means that CAP_NET_ADMIN is missing.
var ErrPermission = errors.New("changing nftables needs CAP_NET_ADMIN: run as root, " +
	"or give the unit AmbientCapabilities=CAP_NET_ADMIN")

// The oldest long-term kernel whose nf_tables has all that the rules use: counters
// of set elements came with 5.7, nat chains in the inet family with 5.2.
const (
	needMajor, needMinor = 5, 10
	needFor              = "nftables with counters in sets"
)

// CheckKernel returns an error that names the feature and the version it needs
// if the running kernel is too old for the rules.
func CheckKernel() error {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return fmt.Errorf("read the kernel's version: %w", err)
	}
	return checkRelease(unix.ByteSliceToString(u.Release[:]))
}

func checkRelease(release string) error {
	var major, minor int
	if n, _ := fmt.Sscanf(release, "%d.%d", &major, &minor); n < 2 {
		return nil // let the kernel itself say what it lacks
	}
	if major < needMajor || major == needMajor && minor < needMinor {
		return fmt.Errorf("kernel %s is too old: %s needs Linux %d.%d or later",
			release, needFor, needMajor, needMinor)
	}
	return nil
}

// CheckPermission returns [ErrPermission] if this process may not change
// nftables: it lacks the capability, capabilities(7).
func CheckPermission() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData // 32 capabilities each
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("read the process's capabilities: %w", err)
	}
	if data[0].Effective&(1<<unix.CAP_NET_ADMIN) == 0 {
		return ErrPermission
	}
	return nil
}
