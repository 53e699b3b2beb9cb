// SPDX-License-Identifier: MIT

package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// zombie is a third host with an old habit that an idle scan needs: it counts its packets in
// the IP identification (nmap's documentation, "TCP Idle Scan"). Linux does not do this any
// more, so the lab plays it behind a tun device of the far end. The scan is nmap's own.
var zombie = netip.AddrFrom4([4]byte{198, 51, 100, 250})

// raiseZombie starts the zombie. It ends with the site.
func (s *site) raiseZombie() error {
	var fd int
	err := s.Attacker.Do(func() (err error) {
		if fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
			return fmt.Errorf("open /dev/net/tun: %w", err)
		}
		req, err := unix.NewIfreq("zombie")
		if err != nil {
			return err
		}
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
			return fmt.Errorf("make tun device: %w", err)
		}
		return unix.SetNonblock(fd, true)
	})
	if err != nil {
		return err
	}
	tun := os.NewFile(uintptr(fd), "tun")
	s.closeLater(tun)
	go answerAsZombie(tun)
	if err := ipBatch(s.Attacker, []string{
		"link set zombie up", "addr add 198.51.100.249/32 dev zombie", fmt.Sprintf("route add %s dev zombie",
			zombie)}); err != nil {
		return err
	}
	if err := s.Attacker.Sysctl("net/ipv4/ip_forward", "1"); err != nil {
		return err
	}
	time.Sleep(100 * time.Millisecond) // the device comes up
	return nil
}

// answerAsZombie refuses every SYN and SYN+ACK with a RST. The IP identification of each is one
// higher than that of the one before.
func answerAsZombie(tun *os.File) {
	id := uint16(1000)
	for b := make([]byte, 2048); ; {
		n, err := tun.Read(b)
		if err != nil {
			return
		}
		p := b[:n]
		if n < 40 || p[0] != 0x45 || p[9] != unix.IPPROTO_TCP || p[33]&0x04 != 0 {
			continue
		}
		id++
		reply := make([]byte, 40)
		reply[0], reply[8], reply[9] = 0x45, 64, unix.IPPROTO_TCP
		binary.BigEndian.PutUint16(reply[2:], 40)
		binary.BigEndian.PutUint16(reply[4:], id)
		copy(reply[12:16], p[16:20])
		copy(reply[16:20], p[12:16])
		copy(reply[20:22], p[22:24])
		copy(reply[22:24], p[20:22])
		if p[33]&0x10 != 0 { // it has an acknowledgement: RFC 9293, 3.5.2, group 1
			copy(reply[24:28], p[28:32])
			reply[33] = 0x04
		} else {
			binary.BigEndian.PutUint32(reply[28:], binary.BigEndian.Uint32(p[24:])+1)
			reply[33] = 0x14
		}
		reply[32] = 0x50
		binary.BigEndian.PutUint16(reply[10:], ^fold(sum(reply[:20])))
		pseudo := sum(reply[12:20]) + unix.IPPROTO_TCP + 20
		binary.BigEndian.PutUint16(reply[36:], ^fold(pseudo+sum(reply[20:40])))
		if _, err := tun.Write(reply); err != nil {
			return
		}
	}
}

// sum adds up b as the Internet checksum does (RFC 1071).
func sum(b []byte) (s uint32) {
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

// fold folds a sum into 16 bits.
func fold(s uint32) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
