// SPDX-License-Identifier: MIT

// Package inline reads the packets that wait in an NFQUEUE, hands each on to be
// judged, and tells the kernel what becomes of it.
//
// It fails open. The queue holds [Length] packets, and more pass; without a reader
// all pass, by the flag "bypass" of the rule that leads here; and this package lets a
// packet pass that nobody has judged within [Age]. A packet is late if the process is
// stopped, and lost if it dies: the kernel drops the packets of a dead reader.
// Therefore the rules lead only the first SYN of a connection here, and its client
// sends another.
//
// The socket is never stored for a next process, unlike that of NFLOG: a bound queue
// without a reader holds its packets, and the rule's bypass would not act.
package inline
