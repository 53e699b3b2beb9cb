// SPDX-License-Identifier: MIT

package config

import (
	"os"
	"path/filepath"
)

// armed is the drop-in by which a trial has ended. It is read after all others
// of a name that begins with a lesser number.
const armed = "90-armed.toml"

// Arm writes the drop-in of the configuration at path by which a trial ends. Undo
// takes it back, unless it was there before.
func Arm(path string) (file string, undo func(), err error) {
	file = filepath.Join(filepath.Dir(path), dropIns, armed)
	undo = func() {}
	if _, err := os.Lstat(file); os.IsNotExist(err) {
		undo = func() { _ = os.Remove(file) } // the error that leads to it is told
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return file, undo, err
	}
	text := "# By \"picket arm\". For another trial, delete this file, and: systemctl reload picket\n" +
		"dry_run = false\n"
	return file, undo, os.WriteFile(file, []byte(text), 0o644)
}
