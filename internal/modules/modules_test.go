// SPDX-License-Identifier: MIT

package modules

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestMissing(t *testing.T) {
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "list")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	loaded := file("nft_ct 24576 2 - Live 0x0000000000000000\n" +
		"nf_tables 311296 1 nft_ct, Live 0x0000000000000000\n")
	builtin := file("kernel/net/netfilter/nft_log.ko\nkernel/net/netfilter/nft-limit.ko\n")
	names := []string{"nf_tables", "nft_ct", "nft_limit", "nft_log", "nft_objref", "nft_socket"}
	for _, c := range []struct {
		what            string
		loaded, builtin string
		want            []string
		sure            bool
	}{
		{"one is missing", loaded, builtin, []string{"nft_socket"}, true},
		{"a kernel without the list of what it holds", loaded, "/nonexistent",
			[]string{"nft_limit", "nft_log", "nft_socket"}, false},
		{"a kernel without modules", "/nonexistent", builtin, nil, false},
		{"nothing is loaded", file(""), builtin, []string{"nf_tables", "nft_ct", "nft_socket"}, true},
	} {
		if got, sure := missing(names, "6.12.117+deb12-amd64", c.loaded, c.builtin); !slices.Equal(got,
			c.want) || sure != c.sure {
			t.Errorf("%s: %q, %v; want %q, %v", c.what, got, sure, c.want, c.sure)
		}
	}
	want := []string{"nft_objref", "nft_socket"}
	if got, _ := missing(names, "6.1.0-57-amd64", loaded, builtin); !slices.Equal(got, want) {
		t.Errorf("Linux 6.1: %q, want %q", got, want)
	}
}

// TestListIsThatOfThePackage: the package loads at boot what errors name, and the
// modules of the looks at peers and flows. The unit asks for one of them.
func TestListIsThatOfThePackage(t *testing.T) {
	b, err := os.ReadFile("../../units/picket.modules")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			listed = append(listed, line)
		}
	}
	unit, err := os.ReadFile("../../units/picket.service")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(unit), "\nWants=modprobe@nft_objref.service\n") {
		listed = append(listed, "nft_objref")
	}
	want := slices.Concat(Rules(), Log(), []string{"nf_conntrack_netlink", "tcp_diag", "udp_diag"})
	slices.Sort(want)
	slices.Sort(listed)
	if !slices.Equal(listed, want) {
		t.Errorf("the package loads %q, want %q", listed, want)
	}
}
