// SPDX-License-Identifier: MIT

// Package replay turns captures into what the mirror would have made of them:
// an [probe.Probe] for each packet that the kernel's rules would have logged,
// in capture time, without privileges and without a kernel.
//
// It reads pcap (microseconds and nanoseconds, both byte orders) and pcapng
// (several sections and interfaces), plain or gzip, of Ethernet with VLAN tags,
// PPPoE sessions and MPLS labels, raw IP, Linux cooked (both versions), NFLOG and BSD
// loopback links. In user
// space it does what the rules of package nft do in the kernel: it puts
// fragments together, follows flows so that answers and connections in progress
// are no probes, and leaves out broadcasts, other hosts' packets and ports that
// serve somebody.
//
// What goes to networks behind the host ([Rules.Behind]) it judges as the hook
// forward does.
//
// [Log] makes a capture of the kernel's packet log, as iptables, nftables and UFW
// write it into syslog and journal.
//
// Classic mode's trap is not there to answer. If it was when the capture was made
// ([Rules.TrapAnswers]), the ACK that completes a handshake with one of its ports
// is the connection that the trap would have told of. Otherwise what answers is a
// service, and of a port that does not there is only the SYN, which nothing is
// made of, as on the host.
//
// Captures that overlap in time are read as one, packet by packet. They are read
// twice, since a SYN comes before the SYN+ACK that shows its port to be open:
// first to learn which ports answer, then to judge. So it needs files, and keeps
// what comes through a pipe in one. Whether a port is open is known for the
// capture as a whole, where the kernel knows it for the moment.
//
// It refuses to grow with its input: flows, fragments and what the first pass
// learns are bounded (7 MiB, and up to 15 more if the first pass learns its
// fill), and so are the captures that are open at once; a packet is at most 256
// KiB, and a length in a file reserves no memory. It emulates no limit of
// packets a second.
package replay
