// SPDX-License-Identifier: MIT

package nft

import (
	"fmt"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// The oldest long-term kernel whose nf_tables has all that the rules use: counters
// of set elements came with 5.7, nat chains in the inet family with 5.2.
const (
	needMajor, needMinor = 5, 10
	needFor              = "nftables with counters in sets"
)

// CheckKernel returns an error that names the feature and the version it needs
// if the running kernel is too old for the rules.
func CheckKernel() error {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return fmt.Errorf("read the kernel's version: %w", err)
	}
	return checkRelease(unix.ByteSliceToString(u.Release[:]))
}

func checkRelease(release string) error {
	var major, minor int
	if n, _ := fmt.Sscanf(release, "%d.%d", &major, &minor); n < 2 {
		return nil // let the kernel itself say what it lacks
	}
	if major < needMajor || major == needMajor && minor < needMinor {
		return fmt.Errorf("kernel %s is too old: %s needs Linux %d.%d or later", release, needFor, needMajor, needMinor)
	}
	return nil
}

// CheckPermission returns [ErrPermission] if this process may not change
// nftables: it lacks the capability, capabilities(7).
func CheckPermission() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData // 32 capabilities each
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("read the process's capabilities: %w", err)
	}
	if data[0].Effective&(1<<unix.CAP_NET_ADMIN) == 0 {
		return ErrPermission
	}
	return nil
}

// Tables returns the tables of everybody, by family and name: "inet filter".
func Tables() (names []string, err error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, explain("open nftables", err)
	}
	tables, err := conn.ListTables()
	if err != nil {
		return nil, explain("list tables", err)
	}
	families := map[nftables.TableFamily]string{
		nftables.TableFamilyINet: "inet", nftables.TableFamilyIPv4: "ip", nftables.TableFamilyIPv6: "ip6",
		nftables.TableFamilyARP: "arp", nftables.TableFamilyBridge: "bridge", nftables.TableFamilyNetdev: "netdev",
	}
	for _, t := range tables {
		names = append(names, families[t.Family]+" "+t.Name)
	}
	return names, nil
}
