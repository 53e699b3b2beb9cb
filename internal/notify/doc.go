// SPDX-License-Identifier: MIT

// Package notify tells people what picket did, by mail, ntfy and webhook: it
// gathers events into digests, writes them as text, and sends them.
//
// It runs in a process of its own: the daemon's sandbox has no network and runs
// no setgid program. Every message is cleaned and bounded.
package notify
