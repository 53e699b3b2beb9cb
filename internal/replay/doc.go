// SPDX-License-Identifier: MIT

// Package replay turns captures into probes, as the mirror does with live packets: a
// [probe.Probe] for each packet that the kernel's rules would have logged, in capture
// time, without privileges and without a kernel.
//
// It reads pcap (microseconds and nanoseconds, both byte orders) and pcapng
// (several sections and interfaces), plain or gzip, of Ethernet with VLAN tags,
// PPPoE sessions and MPLS labels, raw IP, Linux cooked (both versions), NFLOG and BSD
// loopback links. In user space it does the work of package nft's rules: it puts
// fragments together, follows flows so that answers and connections in progress are no
// probes, and leaves out broadcasts, other hosts' packets and ports that serve somebody.
// Packets to networks behind the host ([Rules.Behind]) it judges as the hook forward does.
//
// [Log] makes a capture of the kernel's packet log, as iptables, nftables and UFW write
// it into syslog and journal.
//
// Classic mode's trap does not answer in a replay. If it answered when the capture was
// made ([Rules.TrapAnswers]), the ACK that completes a handshake with one of its ports
// stands for the trap's connection. Otherwise a port that answers is a service, and a SYN
// to a port that does not is no probe, as on the host.
//
// Captures that overlap in time are read as one, packet by packet, and twice: first to
// learn which ports answer, then to judge, since a SYN comes before the SYN+ACK that
// shows its port to be open. So it needs files, and spools a pipe into one. It knows
// whether a port is open for the whole capture, the kernel for the moment.
//
// Memory is bounded whatever the input: flows and fragments take 5 MiB, what the first pass
// learns up to 13 more, and what the watched hosts asked up to 11. Only 64 captures are open
// at once, a packet is at most 256 KiB, and a length in a file reserves no memory. It
// emulates no limit of packets a second.
package replay
