// SPDX-License-Identifier: MIT

package control

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Limit reports whether a counter of [Status.Rules] is of what fell to a limit of the
// kernel's: packets too many to be mirrored, or times a set was full.
func Limit(name string) bool {
	return strings.HasPrefix(name, "unlogged_") || strings.HasPrefix(name, "full_")
}

// Grown returns the counters of limits that are above those of before, each with the
// difference: "full_sight 2", by name.
func Grown(now, before map[string]uint64) (list []string) {
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if Limit(name) && now[name] > before[name] {
			list = append(list, fmt.Sprintf("%s %d", name, now[name]-before[name]))
		}
	}
	return list
}
