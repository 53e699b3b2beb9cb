// SPDX-License-Identifier: MIT

// Package inline reads the packets that wait in an NFQUEUE, hands each on to be
// judged, and tells the kernel what becomes of it.
//
// It fails open. The queue holds [Length] packets and lets what comes beyond them
// pass; so does a queue that nobody reads, by the flag "bypass" of the rule that
// leads here; and whatever nobody has judged within [Age] is let pass by this
// package. Only packets that are held when the process dies, or that wait while it
// is stopped, are lost or late: the kernel drops what a dead reader held. The rules
// therefore lead no more than the first SYN of a connection here, and its client
// sends another.
//
// The socket is never stored for a next process, unlike that of NFLOG: a queue
// that is bound and not read holds what comes, and the rule's bypass would not act.
package inline
