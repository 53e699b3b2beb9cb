// SPDX-License-Identifier: MIT

// Package modules names what picket lacks in the kernel: the version, the right to
// change nftables, the modules behind a refusal.
package modules

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Rules are the modules of the rules.
func Rules() []string {
	return []string{
		"nf_tables", "nft_chain_nat", "nft_ct", "nft_fib_inet", "nft_limit", "nft_log",
		"nft_objref", "nft_redir", "nft_reject_inet", "nft_socket",
	}
}

// Log is the module of an NFLOG group.
func Log() []string { return []string{"nfnetlink_log"} }

// Queue are the modules of an NFQUEUE and of the rule that leads there.
func Queue() []string { return []string{"nfnetlink_queue", "nft_queue"} }

// missing returns the names of modules that are not loaded, and whether they are surely
// not built in either: a container often lacks the kernel's files. A kernel without
// modules has all it will ever have.
//
// It reads the list of loaded modules, each line with the name first
// (kernel/module/procfs.c, m_show), and the list of built-in ones, a path a line
// (Documentation/kbuild/kbuild.rst, modules.builtin).
func missing(names []string, release, loaded, builtin string) (gone []string, sure bool) {
	// Since 6.2 it is part of nf_tables (commit d037abc2414b).
	var major, minor int
	if n, _ := fmt.Sscanf(release, "%d.%d", &major, &minor); n == 2 &&
		(major > 6 || major == 6 && minor >= 2) {
		names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == "nft_objref" })
	}

	there, err := read(loaded, func(line string) string { return strings.SplitN(line, " ", 2)[0] })
	if err != nil {
		return nil, false
	}
	inside, err := read(builtin, func(line string) string {
		return strings.TrimSuffix(path.Base(line), ".ko")
	})
	gone = slices.DeleteFunc(slices.Clone(names),
		func(name string) bool { return there[name] || inside[name] })
	return gone, err == nil
}

// read returns the names of modules in a file, one a line.
func read(file string, name func(line string) string) (map[string]bool, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		names[strings.ReplaceAll(name(strings.TrimSpace(line)), "-", "_")] = true
	}
	return names, nil
}

// Explain adds the missing modules to an error of the kernel's. It returns err
// itself if none is missing.
func Explain(err error, names []string) error {
	var u unix.Utsname
	if err == nil || unix.Uname(&u) != nil {
		return err
	}
	release := unix.ByteSliceToString(u.Release[:])
	gone, sure := missing(names, release, "/proc/modules",
		path.Join("/lib/modules", release, "modules.builtin"))
	if len(gone) == 0 {
		return err
	}
	list := strings.Join(gone, " ")
	if !sure {
		return fmt.Errorf("%w: if they are not a part of the kernel, these modules are missing: %s", err,
			list)
	}
	return fmt.Errorf("%w: kernel %s has not loaded these modules: %s; \"modprobe -a %s\" tells why. "+
		"They belong to Linux 5.10 and later", err, release, list, list)
}
