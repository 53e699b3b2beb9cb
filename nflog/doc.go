// SPDX-License-Identifier: MIT

// Package nflog reads the NFLOG group into which the rules of package nft
// mirror probes, and hands on each as an [probe.Probe].
//
// It counts what it cannot hand on: messages that the kernel lost, by the gaps
// in their sequence numbers, and packets that are no probe.
//
// It refuses a group that another process holds ([ErrTaken]).
//
// It needs CAP_NET_ADMIN in the network namespace. Open the reader before the
// log rules go in: what they log while nobody has bound the group is lost, and
// no sequence number tells of it.
package nflog
