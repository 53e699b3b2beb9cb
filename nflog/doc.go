// SPDX-License-Identifier: MIT

// Package nflog reads the probes that the rules of package nft mirror into an NFLOG
// group, and hands on each as a [probe.Probe].
//
// It counts the rest: messages that the kernel lost, by the gaps in their sequence
// numbers, and packets that are no probe.
//
// It refuses a group that another process holds ([ErrTaken]).
//
// It needs CAP_NET_ADMIN in the network namespace. Open the reader before the log
// rules go in: packets logged to an unbound group are lost, and leave no gap in the
// sequence numbers.
package nflog
