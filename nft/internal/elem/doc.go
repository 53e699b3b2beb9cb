// SPDX-License-Identifier: MIT

// Package elem reads the elements of nftables sets from the kernel: all of a set one
// after the other, or single ones by their keys. The library under the rest of nft
// does the first in slices of the whole and a page at a time, and not the second.
package elem
