// SPDX-License-Identifier: MIT

package host

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The records of logins, and sshd's configuration.
const (
	utmpFile    = "/run/utmp"
	sessionsDir = "/run/systemd/sessions"
	sshdFile    = "/etc/ssh/sshd_config"
)

// LoginRecords returns the places where systems record logins; a system has one of
// them.
func LoginRecords() []string { return []string{utmpFile, sessionsDir} }

// Operators returns the addresses of logged-in people, in order and each once, by the
// system's records: utmp(5), and logind's sessions (REMOTE_HOST, of sd-login). A
// connection alone does not count: a password guesser has one too. Known is false on
// a system without such a record.
func Operators() (from []netip.Addr, known bool) {
	if b, err := os.ReadFile(utmpFile); err == nil {
		known, from = true, append(from, utmp(b)...)
	}
	if _, err := os.Stat(sessionsDir); err == nil {
		known = true
	}
	files, _ := filepath.Glob(sessionsDir + "/*") // the pattern is a good one
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // the session has ended
		}
		if a, ok := session(b); ok {
			from = append(from, a)
		}
	}
	from = slices.DeleteFunc(from, func(a netip.Addr) bool { return a.IsLoopback() || a.IsUnspecified() })
	slices.SortFunc(from, netip.Addr.Compare)
	return slices.Compact(from), known
}

// Sizes and offsets in a record of utmp(5), struct utmp of glibc on Linux.
const (
	utmpSize    = 384
	utmpAddress = 348 // ut_addr_v6
	userProcess = 7   // ut_type
)

func utmp(b []byte) (from []netip.Addr) {
	for ; len(b) >= utmpSize; b = b[utmpSize:] {
		if binary.NativeEndian.Uint16(b) != userProcess {
			continue
		}
		a := netip.AddrFrom16([16]byte(b[utmpAddress:]))
		if bytes.Equal(b[utmpAddress+4:utmpAddress+16], make([]byte, 12)) {
			a = netip.AddrFrom4([4]byte(b[utmpAddress:])) // IPv4 fills the first word alone
		}
		from = append(from, a.Unmap())
	}
	return from
}

// session reads the remote address of an open logind session.
func session(b []byte) (a netip.Addr, ok bool) {
	active := true
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		key, value, _ := strings.Cut(s.Text(), "=")
		switch key {
		case "REMOTE_HOST":
			var err error
			if a, err = netip.ParseAddr(strings.Trim(value, `"`)); err == nil {
				a, ok = a.Unmap().WithZone(""), true
			}
		case "STATE":
			active = value != "closing"
		}
	}
	return a, ok && active
}

// LoginPorts returns the ports in sshd's configuration, by default 22.
func LoginPorts() []uint16 {
	b, _ := os.ReadFile(sshdFile) // without one the default holds
	return sshdPorts(b)
}

func sshdPorts(b []byte) (ports []uint16) {
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) < 2 || !strings.EqualFold(f[0], "Port") {
			continue
		}
		if n, err := strconv.ParseUint(f[1], 10, 16); err == nil && n > 0 &&
			!slices.Contains(ports, uint16(n)) {
			ports = append(ports, uint16(n))
		}
	}
	if ports == nil {
		return []uint16{22}
	}
	return ports
}
