// SPDX-License-Identifier: MIT

package daemon

import (
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"picket/internal/control"
)

// A configuration that the kernel refuses is nobody's.
func TestRefusedConfiguration(t *testing.T) {
	running(t, plain, nil, func(r *run) {
		dir := filepath.Dir(r.options.Path)
		write(t, r.options.Path, "dry_run = true\n"+strings.ReplaceAll(plain, "DIR", dir))
		r.kernel.with(func() { r.failing = errors.New("no memory") })
		r.hangup <- syscall.SIGHUP
		r.told(1, "the configuration was not changed")
		r.kernel.with(func() { r.failing = nil })
		r.probes("192.0.2.9", 1000, 40)
		r.wants("192.0.2.9/32")
	})
}

// An arming lasts as long as it says, although a reload has ended an earlier one.
func TestArmAfterReload(t *testing.T) {
	running(t, "dry_run = true\n"+plain, nil, func(r *run) {
		r.asks(control.Request{Command: "arm", For: "4m"}, "")
		r.hangup <- syscall.SIGHUP
		time.Sleep(3 * time.Minute)
		r.asks(control.Request{Command: "arm", For: "4m"}, "")
		time.Sleep(2 * time.Minute)
		r.told(0, "not confirmed")
		time.Sleep(3 * time.Minute)
		r.told(1, "not confirmed")
	})
}
