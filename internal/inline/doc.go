// SPDX-License-Identifier: MIT

// Package inline reads the packets that wait in an NFQUEUE, hands each one on to be judged, and
// tells the kernel the verdict.
//
// It fails open. The queue holds [Length] packets, and more pass. Without a reader all packets
// pass, by the flag "bypass" of the rule that leads here. A packet without a verdict passes
// after [Age]. If the process is stopped, packets are late; if it dies, they are lost, since
// the kernel drops the packets of a dead reader. Therefore the rules lead only the first SYN of
// a connection here: its client sends another.
//
// The socket is never stored for a next process, unlike that of NFLOG: a bound queue without a
// reader holds its packets, and the rule's bypass does not act.
package inline
