// SPDX-License-Identifier: MIT

// Package notify tells people what picket did, by mail, ntfy and webhook: it
// gathers events into digests, writes them as text, and hands them over.
//
// It runs in a process of its own, outside the daemon's sandbox, which has no
// network and may not run a setgid program. What it sends is cleaned and bounded.
package notify
