// SPDX-License-Identifier: MIT

// Package oracle holds what picket reads of captures against what gopacket
// reads of them.
package oracle
