// SPDX-License-Identifier: MIT

package config

import (
	"os"
	"path/filepath"
	"testing"
)

// The drop-in ends a trial. Undo removes it, but not an older one.
func TestArm(t *testing.T) {
	path := filepath.Join(t.TempDir(), "picket.toml")
	if err := os.WriteFile(path, []byte("dry_run = true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	trial := func(want bool) {
		t.Helper()
		if c, err := Load(path); err != nil || c.DryRun != want {
			t.Errorf("%v, %+v, want a trial: %v", err, c, want)
		}
	}
	_, undo, err := Arm(path)
	if err != nil {
		t.Fatal(err)
	}
	trial(false)
	undo()
	trial(true)
	if _, _, err := Arm(path); err != nil {
		t.Fatal(err)
	}
	_, undo, err = Arm(path)
	if err != nil {
		t.Fatal(err)
	}
	undo()
	trial(false)
	if _, _, err := Arm(filepath.Join(path, "picket.toml")); err == nil {
		t.Error("a file is a directory")
	}
}
