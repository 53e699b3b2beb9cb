// SPDX-License-Identifier: MIT

// Package journal writes events: as structured entries of the systemd journal if
// standard error is connected to it, else as one line each on standard error, a
// sentence on a terminal, keys and values in a pipe.
//
// A goroutine of the writer's writes the queued events: a journal that hangs never
// holds up its caller. The writer counts the events that do not fit into the queue,
// and reports them when there is room again.
//
// No control character from the network is passed on.
package journal
