// SPDX-License-Identifier: MIT

package nflog

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// tooMany is the number of sockets from which on none is named: a long list helps nobody.
const tooMany = 4

// holder describes the holder of a group, or returns "". Only root can read the holder;
// everybody can read the owners of all sockets to netfilter.
func holder(group uint16) string {
	sockets, err := os.ReadFile("/proc/net/netlink")
	if err != nil {
		return ""
	}
	own := ownSockets()
	if groups, err := os.ReadFile("/proc/net/netfilter/nfnetlink_log"); err == nil {
		if port := portOf(groups, group); port != "" {
			return "by " + name(port)
		}
		return ""
	}
	ports := portsOf(sockets, own)
	if len(ports) > tooMany {
		// The port of a process's first socket is the number of the process.
		ports = slices.DeleteFunc(ports, func(p string) bool { return !exists("/proc/" + p) })
	}
	if len(ports) == 0 || len(ports) > tooMany {
		return ""
	}
	for i, p := range ports {
		ports[i] = name(p)
	}
	if len(ports) == 1 {
		return "by " + ports[0]
	}
	return "by one of these: " + strings.Join(ports, ", ")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// portOf returns the netlink port of a group's holder
// (net/netfilter/nfnetlink_log.c, seq_show), or "".
func portOf(groups []byte, group uint16) string {
	for line := range strings.Lines(string(groups)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == strconv.Itoa(int(group)) {
			return f[1]
		}
	}
	return ""
}

// portsOf returns the netlink ports of the sockets to netfilter that are not in own, by inode
// (net/netlink/af_netlink.c, netlink_native_seq_show).
func portsOf(sockets []byte, own map[string]bool) []string {
	var ports []string
	for line := range bytes.Lines(sockets) {
		f := strings.Fields(string(line))
		if len(f) < 10 || f[1] != strconv.Itoa(unix.NETLINK_NETFILTER) || f[2] == "0" || own[f[9]] {
			continue // of another family, the kernel's own or ours
		}
		ports = append(ports, f[2])
	}
	// Numbers of processes come first: they are shorter.
	slices.SortFunc(ports, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	})
	return slices.Compact(ports)
}

// ownSockets returns the inodes of this process's sockets.
func ownSockets() map[string]bool {
	own := map[string]bool{}
	links, _ := filepath.Glob("/proc/self/fd/*") // the pattern is right
	for _, l := range links {
		target, err := os.Readlink(l)
		if inode, ok := strings.CutPrefix(target, "socket:["); err == nil && ok {
			own[strings.TrimSuffix(inode, "]")] = true
		}
	}
	return own
}

// name adds the process to a netlink port: the port of a process's first socket is the
// process's number. A process chooses its own name, so it is quoted.
func name(port string) string {
	if pid, err := strconv.ParseInt(port, 10, 32); err != nil || pid <= 0 {
		return "netlink port " + port
	}
	if comm, err := os.ReadFile("/proc/" + port + "/comm"); err == nil {
		return fmt.Sprintf("process %s, %q (netlink port %s)", port, strings.TrimSpace(string(comm)), port)
	}
	return fmt.Sprintf("process %s (netlink port %s)", port, port)
}
