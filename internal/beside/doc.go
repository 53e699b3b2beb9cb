// SPDX-License-Identifier: MIT

// Package beside is what stands beside a block: commands, routes, lines of
// hosts.deny, history, names.
//
// Each action works in goroutines of its own behind a queue that is bounded.
// Who tells of a block or of its end never waits. An action that fails says so
// in the journal, and holds up neither the blocks nor another action.
//
// A new action is one file with a type that implements the interface action,
// one line in [New], and a section of the configuration.
package beside
