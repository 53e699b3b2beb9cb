// SPDX-License-Identifier: MIT

package config

import "fmt"

// fixedMemory is everything but evidence and sources: the program and its
// runtime, the queues between its parts, a state file or a list of blocks in
// transit. Measured in a flood.
const fixedMemory = 31 << 20

// sourceMemory is the cost of a source: its record and its part of the traces, 251
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

// readMemory reads the size of the whole process.
func (c *Config) readMemory(s *section) { s.size("memory", &c.Memory, false, minMemory, maxMemory) }

// readSources reads the number of sources; 0 is as many as fit.
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

// fit sizes the rest from the memory that is left, or from the whole if evidence
// takes more than that.
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

// Bound returns the most that the process takes, in bytes: memory or, if larger,
// the sum of the sizes that were set. The kernel's sets are not in it.
func (c *Config) Bound() int64 {
	return max(int64(c.Memory), fixedMemory+int64(c.Evidence.Memory)+int64(c.Detect.Sources)*sourceMemory)
}
