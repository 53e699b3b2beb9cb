// SPDX-License-Identifier: MIT

package config

import "testing"

// "0s" is what the reference says may stand there, and no other value is nothing.
func TestEveryMayBeNothing(t *testing.T) {
	c, err := Parse("p.toml", []byte("[notify]\nevery = \"0s\"\n"))
	if err != nil || c.Notify.Every != 0 {
		t.Errorf("%v, %v", err, c)
	}
	if _, err := Parse("p.toml", []byte("[detect]\nwindow = \"0s\"\n")); err == nil {
		t.Error("a window of nothing is taken")
	}
}
