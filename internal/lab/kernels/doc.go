// SPDX-License-Identifier: MIT

// Package kernels boots Debian's own kernels, from their packages, in a virtual
// machine with a real picket and a real nmap in it. Nobody installs the
// kernels: they are unpacked, with what the machine needs of this one's files,
// into a file system in memory, whose only program is lab/kernels/guest.
//
// It needs root, apt-get, qemu-system-x86 and kmod, and no KVM: the machine is
// emulated, so that it is slow in the same way everywhere.
package kernels
