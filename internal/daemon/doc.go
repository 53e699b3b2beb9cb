// SPDX-License-Identifier: MIT

// Package daemon is one run of picket: it opens the table and the group, has
// every probe judged and every block made, answers the commands, follows what
// changes, and leaves the kernel in order.
//
// Each piece of state has one owner, a goroutine: the judge has the engine, the
// blocker the table and the book of blocks.
//
// It needs root, or CAP_NET_ADMIN, and a kernel that [picket/internal/modules.CheckKernel] takes.
package daemon
