// SPDX-License-Identifier: MIT

package config

import (
	"os"
	"path/filepath"
)

// armed is the drop-in that ends a trial. Its number puts it behind most others.
const armed = "90-armed.toml"

// Arm writes the drop-in that ends the trial of the configuration at path. Undo
// removes it, unless it was there before.
func Arm(path string) (file string, undo func(), err error) {
	file = filepath.Join(filepath.Dir(path), dropIns, armed)
	undo = func() {}
	if _, err := os.Lstat(file); os.IsNotExist(err) {
		undo = func() { _ = os.Remove(file) } // after another error, which is reported
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return file, undo, err
	}
	text := "# By \"picket arm\". For another trial, delete this file, and: systemctl reload picket\n" +
		"dry_run = false\n"
	return file, undo, os.WriteFile(file, []byte(text), 0o644)
}
