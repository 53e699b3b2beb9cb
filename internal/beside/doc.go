// SPDX-License-Identifier: MIT

// Package beside holds the actions beside a block: commands, routes, lines of hosts.deny,
// history, names.
//
// Each action works in goroutines of its own behind a bounded queue. The caller that reports a
// block or its end never waits. A failure goes to the journal, and delays neither blocks nor
// other actions.
//
// A new action is one file with a type that implements the interface action, one line in [New],
// and a section of the configuration.
package beside
