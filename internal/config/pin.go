// SPDX-License-Identifier: MIT

package config

import (
	"slices"

	"github.com/pelletier/go-toml/v2"
)

// Pin returns a drop-in, TOML, that keeps earlier defaults wherever the
// configuration at path and its drop-ins say nothing; "" if nothing differs. As
// picket.d/00-upgrade.toml it yields to every other file. The error is [Faults], of
// the configuration or of the defaults.
func Pin(path, name string, defaults []byte) (string, error) {
	d, faults := documents(path)
	if len(faults) > 0 {
		return "", faults
	}
	old, faults := parse(name, defaults)
	if len(faults) > 0 {
		return "", faults
	}
	kept := unsaid(old.values, d.values)
	if len(kept) == 0 {
		return "", nil
	}
	text, err := toml.Marshal(kept)
	if err != nil {
		return "", err
	}
	return pinHead + string(text), nil
}

const pinHead = "# What earlier defaults did where your files say nothing, as an upgrade found them.\n" +
	"# Your files' words win over these. Delete a key, or this file, for the defaults of\n" +
	"# today: picket.toml(5).\n\n"

// presetLists are the lists of a preset.
var presetLists = []string{"classic", "stealth", "advanced", "exclude"}

// unsaid returns the defaults that a table leaves out.
func unsaid(defaults, said map[string]any) map[string]any {
	preset, _ := said["preset"].(string)
	kept := map[string]any{}
	for key, value := range defaults {
		mine, there := said[key]
		part, isTable := value.(map[string]any)
		if isTable {
			own, _ := mine.(map[string]any)
			if there && own == nil {
				continue // one number for all triggers
			}
			if part = unsaid(part, own); len(part) > 0 {
				kept[key] = part
			}
			continue
		}
		if !there && (preset == "" || !slices.Contains(presetLists, key)) {
			kept[key] = value
		}
	}
	return kept
}
