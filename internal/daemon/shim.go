// SPDX-License-Identifier: MIT

package daemon

// PatternName writes a pattern as people do.
func PatternName(p string) string { return patternName(p) }
