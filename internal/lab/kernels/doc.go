// SPDX-License-Identifier: MIT

// Package kernels boots Debian's own kernels, from their packages, in a virtual machine with a
// real picket and a real nmap in it. The kernels are not installed: they are unpacked, with
// the needed files of this machine, into a file system in memory, whose only program is
// lab/kernels/guest.
//
// It needs root, apt-get, qemu-system-x86 and kmod, and no KVM: the machine is emulated, and
// slow in the same way everywhere.
package kernels
