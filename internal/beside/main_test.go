// SPDX-License-Identifier: MIT

package beside

import (
	"os"
	"testing"

	"picket/internal/config"
)

// TestMain reads a configuration once outside of every bubble: package net makes
// the channel by which it bounds its look-ups of services at the first one.
func TestMain(m *testing.M) {
	config.Default()
	os.Exit(m.Run())
}
