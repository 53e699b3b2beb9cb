// SPDX-License-Identifier: MIT

// Package nft owns one nftables table, inet picket: the rules that mirror
// probes into an NFLOG group, the sets of ports and prefixes that steer them, and
// the sets of blocked sources.
//
// The rules are constant. Ports, ignored prefixes and blocked sources are set
// elements, so the text that [Ruleset] prints for an include and what
// [Table.Install] sends over netlink are one ruleset; both come from the chains
// of the files rules_*.go.
//
// It refuses to look at, flush or change any other table, and to take over a
// table of its name that it did not make ([ErrForeign]).
//
// It needs CAP_NET_ADMIN in the network namespace and Linux 5.10; see [picket/internal/modules.CheckKernel].
//
// A [Table] belongs to one goroutine: on a shared connection google/nftables mixes
// up the batches.
package nft
