// SPDX-License-Identifier: MIT

package beside

import (
	"os"
	"testing"

	"picket/internal/config"
)

// TestMain reads a configuration once outside of every bubble: package net makes the channel
// that bounds its look-ups of services when it is first used.
func TestMain(m *testing.M) {
	config.Default()
	os.Exit(m.Run())
}
