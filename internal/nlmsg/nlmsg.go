// SPDX-License-Identifier: MIT

// Package nlmsg walks netlink datagrams that the kernel fills: messages, and attributes
// (include/uapi/linux/netlink.h). What it yields are slices of the datagram, and no
// length in one leads outside it. It allocates nothing.
package nlmsg

import (
	"encoding/binary"
	"iter"

	"golang.org/x/sys/unix"
)

// Messages yields the type and the body of each netlink message of a datagram, up to a
// header that does not fit. The body of an NLMSG_ERROR has its four bytes of error.
func Messages(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofNlMsghdr {
			length := int(binary.NativeEndian.Uint32(b))
			kind := binary.NativeEndian.Uint16(b[4:])
			if length < unix.SizeofNlMsghdr || length > len(b) {
				return
			}
			body := b[unix.SizeofNlMsghdr:length]
			if kind == unix.NLMSG_ERROR && len(body) < 4 || !yield(kind, body) {
				return
			}
			b = b[min(len(b), (length+unix.NLMSG_ALIGNTO-1)&^(unix.NLMSG_ALIGNTO-1)):]
		}
	}
}

// Attributes yields the type, without its flags, and the value of each attribute, up to
// one that does not fit.
func Attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofNlAttr {
			length := int(binary.NativeEndian.Uint16(b))
			kind := binary.NativeEndian.Uint16(b[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
			if length < unix.SizeofNlAttr || length > len(b) || !yield(kind, b[unix.SizeofNlAttr:length]) {
				return
			}
			b = b[min(len(b), (length+unix.NLA_ALIGNTO-1)&^(unix.NLA_ALIGNTO-1)):]
		}
	}
}
