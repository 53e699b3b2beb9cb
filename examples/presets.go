// SPDX-License-Identifier: MIT

// Package examples holds the example files that picket itself reads: the reference,
// and the presets of preset = "..." in [tcp] and [udp].
//
// A preset is a TOML file of two tables, [tcp] and [udp], with the keys classic,
// stealth, advanced and exclude of picket.toml, all port lists. It says nothing of
// modes, triggers and actions: these are for the configuration. exclude takes ports
// out of advanced alone, as PortSentry's ADVANCED_EXCLUDE_TCP and _UDP do: a port
// may be in exclude and in stealth.
package examples

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

//go:embed presets/*.toml
var presets embed.FS

// Presets returns the names of the presets in alphabetical order.
func Presets() []string {
	files, err := fs.Glob(presets, "presets/*.toml")
	if err != nil {
		panic(err) // the pattern is ours
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(strings.TrimPrefix(f, "presets/"), ".toml")
	}
	slices.Sort(files)
	return files
}

// Preset returns the TOML text of a preset. The error for an unknown name lists the
// names.
func Preset(name string) ([]byte, error) {
	if !slices.Contains(Presets(), name) {
		return nil, fmt.Errorf("preset %q: there are %s", name, strings.Join(Presets(), ", "))
	}
	return presets.ReadFile("presets/" + name + ".toml")
}
