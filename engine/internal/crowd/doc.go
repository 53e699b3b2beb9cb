// SPDX-License-Identifier: MIT

// Package crowd finds what shows only in the probes of many sources together: scans
// that many share, decoys of one, floods of newcomers, answers to what somebody forges
// in our name. Each table has a fixed size, and its zero value is empty and ready.
// Times are nanoseconds of the engine's clock. A value is for one goroutine.
package crowd
