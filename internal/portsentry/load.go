// SPDX-License-Identifier: MIT

package portsentry

import (
	"fmt"
	"os"
)

// Load reads the portsentry.conf at path, by [Parse], and looks whether the ignore file
// that it names can be read here.
func Load(path string) (*File, []Fault, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer in.Close()
	if info, err := in.Stat(); err != nil || info.IsDir() {
		return nil, nil, fmt.Errorf("%s is a directory: want PortSentry's portsentry.conf", path)
	}
	f, faults := Parse(in)
	if x, missing := f.MissIgnoreFile(readable); missing {
		faults = append(faults, x)
	}
	return f, faults, nil
}

// readable reports whether there is a file that can be read.
func readable(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	f.Close()
	return true
}
