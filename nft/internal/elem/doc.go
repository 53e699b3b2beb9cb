// SPDX-License-Identifier: MIT

// Package elem reads the elements of nftables sets from the kernel: a whole set one by
// one, or single elements by key. google/nftables reads a whole set into one slice, a
// page at a time, and cannot read single elements.
package elem
