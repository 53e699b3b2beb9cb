// SPDX-License-Identifier: MIT

package config

import "fmt"

// What the memory of the process goes to, besides evidence and sources: the
// program and its runtime, the queues between its parts, what a state file or a
// list of blocks is in transit. Measured in a flood.
const fixedMemory = 26 << 20

// sourceMemory is what a source takes: its record and its part of the traces, 251
// bytes, and a fifth for the collector.
const sourceMemory = 300

// Bounds of the keys. Less has no room for the sources of a small scan.
const (
	minMemory  = 40 << 20
	maxMemory  = 16 << 30
	minSources = 1024
	maxSources = 1 << 20

	usualEvidence = 8 << 20
)

// readMemory reads what sizes the process as a whole.
func (c *Config) readMemory(s *section) { s.size("memory", &c.Memory, false, minMemory, maxMemory) }

// readSources reads how many sources may be known; 0 is as many as there is room for.
func (d *Detect) readSources(s *section) {
	const want = "0, or a whole number, 1024 to 1048576"
	if v, ok := get[int64](s, "sources", want); ok {
		if v != 0 && (v < minSources || v > maxSources) {
			s.fault("sources", fmt.Sprintf("is %d: want %s", v, want))
			return
		}
		d.wanted = int(v)
	}
}

// fit sizes what has no size of its own by what is left of the memory; by the
// whole, if evidence was given more than that.
func (c *Config) fit() {
	c.Detect.Sources = c.Detect.wanted
	if c.Detect.Sources != 0 {
		return
	}
	left := int64(c.Memory - c.Evidence.Memory)
	if left < minMemory-usualEvidence {
		left = int64(c.Memory) - usualEvidence
	}
	c.Detect.Sources = int(min((left-fixedMemory)/sourceMemory, maxSources))
}

// Bound returns what the process takes at most, in bytes: memory or, if the sizes
// that were set are larger, their sum. The kernel's sets are not in it.
func (c *Config) Bound() int64 {
	return max(int64(c.Memory), fixedMemory+int64(c.Evidence.Memory)+int64(c.Detect.Sources)*sourceMemory)
}
