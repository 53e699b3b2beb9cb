// SPDX-License-Identifier: MIT

// Package journal tells events: as structured entries of the systemd journal
// when standard error is connected to it, else as one line each on standard
// error: a sentence on a terminal, keys and values for what reads a pipe.
//
// An event is queued and written by a goroutine of the writer's, so a journal
// that hangs never holds up who tells it. What does not fit into the queue is
// counted and told as soon as there is room again.
//
// It refuses to pass on a control character that came from the network.
package journal
