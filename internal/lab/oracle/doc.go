// SPDX-License-Identifier: MIT

// Package oracle compares picket's reading of captures with gopacket's.
package oracle
