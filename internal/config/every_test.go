// SPDX-License-Identifier: MIT

package config

import "testing"

// TestEveryMayBeNothing: "0s" is nothing, as the reference says, and no other value is.
func TestEveryMayBeNothing(t *testing.T) {
	c, err := Parse("p.toml", []byte("[notify]\nevery = \"0s\"\n"))
	if err != nil || c.Notify.Every != 0 {
		t.Errorf("%v, %v", err, c)
	}
	if _, err := Parse("p.toml", []byte("[detect]\nwindow = \"0s\"\n")); err == nil {
		t.Error("a window of nothing is taken")
	}
}
