// SPDX-License-Identifier: MIT

package daemon

import (
	"os"
	"testing"

	"picket/internal/config"
)

// TestMain reads a configuration outside of all bubbles first: the first look-up of a service makes
// a channel in package net, and a channel belongs to the bubble that made it.
func TestMain(m *testing.M) {
	config.Default()
	os.Exit(m.Run())
}
