// SPDX-License-Identifier: MIT

// Package netnstest gives a test a network namespace of its own.
package netnstest

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Enter runs the rest of the test in a new network namespace, which ends with the
// thread. Without root the test is skipped.
func Enter(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root for a network namespace")
	}
	runtime.LockOSThread() // never unlocked: the thread ends with the test's goroutine
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("unshare: %v", err)
	}
}
