// SPDX-License-Identifier: MIT

package addresses

import (
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func strs(list []netip.Prefix) []string {
	var out []string
	for _, p := range list {
		out = append(out, p.String())
	}
	return out
}

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"nothing", "", nil},
		{"only comments", "# a\n\n   # b\n", nil},
		{"what PortSentry ships", "# Keep 127.0.0.1\n#\n127.0.0.1/32\n0.0.0.0\n",
			[]string{"127.0.0.1/32", "0.0.0.0/32"}},
		{"no final newline, which costs PortSentry 2 the last digit", "192.0.2.1\n198.51.100.2/32",
			[]string{"192.0.2.1/32", "198.51.100.2/32"}},
		{"CRLF", "192.0.2.1\r\n2001:db8::/32\r\n", []string{"192.0.2.1/32", "2001:db8::/32"}},
		{"leading blanks", "   192.0.2.1\n\t192.0.2.2 \n", []string{"192.0.2.1/32", "192.0.2.2/32"}},
		{"trailing comments", "192.0.2.1 # gateway\n192.0.2.0/28#lan\n",
			[]string{"192.0.2.1/32", "192.0.2.0/28"}},
		{"host bits", "192.0.2.9/24\n2001:db8::1/64\n", []string{"192.0.2.0/24", "2001:db8::/64"}},
		{"upper case", "2001:DB8::ABCD\nFE80::/10\n", []string{"2001:db8::abcd/128", "fe80::/10"}},
		{"IPv4-mapped", "::ffff:192.0.2.1\n::ffff:192.0.2.9/120\n", []string{"192.0.2.1/32", "192.0.2.0/24"}},
		{"twice", "192.0.2.1\n192.0.2.1/32\n", []string{"192.0.2.1/32"}},
		{"byte order mark", "\ufeff192.0.2.1\n", []string{"192.0.2.1/32"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Read(strings.NewReader(c.in))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, strs(got)); d != "" {
				t.Errorf("list (-want +got):\n%s", d)
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"a name", "192.0.2.1\ngw.example.net\n", `line 2: "gw.example.net" is a name`},
		{"a wide prefix", "192.0.2.0/33\n", "line 1: \"192.0.2.0/33\" has no prefix length between 0 and 32"},
		{"a wide IPv6 prefix", "2001:db8::/129\n", "between 0 and 128"},
		{"no length", "192.0.2.0/\n", "has no prefix length"},
		{"a netmask", "192.0.2.0/255.255.255.0\n", "has a netmask"},
		{"everything", "0.0.0.0/0\n", "is every address there is"},
		{"everything of IPv6", "::/0\n", "is every address there is"},
		{"two on a line", "192.0.2.1 192.0.2.2\n", "an entry by itself"},
		{"a comment without its sign", "192.0.2.1 the gateway\n", "a comment begins with #"},
		{"leading zeros", "192.0.02.1\n", "without leading zeros"},
		{"three numbers", "192.0.2\n", "is not an IPv4 address"},
		{"an address with a port", "192.0.2.1:22\n", "has a port: leave it out"},
		{"half an IPv6 address", "2001:db8\n", "is not an IPv6 address"},
		{"a zone", "fe80::1%eth0\n", "has an interface"},
		{"control bytes", "\x1b[2J\n", `line 1: "\x1b[2J" is not an address`},
		{"a long line", strings.Repeat("1", MaxLine+10) + "\n", "line 1: longer than 1024 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Read(strings.NewReader(c.in))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
			if got != nil {
				t.Errorf("a refused list holds %v", got)
			}
		})
	}
}

func TestReadTellsEveryFault(t *testing.T) {
	_, err := Read(strings.NewReader("x y\n192.0.2.1\n256.0.0.1\n"))
	var f Fault
	if !errors.As(err, &f) || f.Line != 1 || !strings.Contains(err.Error(), "line 3:") {
		t.Errorf("got %v, want the faults of lines 1 and 3", err)
	}
	_, err = Read(strings.NewReader(strings.Repeat("x\n", 1000)))
	if n := strings.Count(err.Error(), "\n"); n != maxFaults {
		t.Errorf("%d lines of faults, want %d and a note", n+1, maxFaults)
	}
}

func TestReadRefusesHalfAList(t *testing.T) {
	got, err := Read(io.MultiReader(strings.NewReader("192.0.2.1\n"), iotest.ErrReader(errors.New("disk"))))
	if got != nil || err == nil {
		t.Errorf("got %v, %v; want no list and the error", got, err)
	}
}

func TestReadFileNamesTheFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "ignore")
	if _, err := ReadFile(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if err := os.WriteFile(name, []byte("nonsense!\n192.0.2.1\nx y\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := ReadFile(name)
	want := name + ": line 1: \"nonsense!\" is not an address\n" + name +
		": line 3: \"x y\" is more than an address"
	if err == nil || !strings.HasPrefix(err.Error(), want) || !errors.As(err, new(Fault)) {
		t.Errorf("bad file: %v, want its name and the line, for each", err)
	}
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := name + "-link"
	if err := os.Symlink(name, link); err != nil {
		t.Fatal(err)
	}
	if list, err := ReadFile(link); err != nil || len(list) > 0 {
		t.Errorf("an empty file: %v, %v", list, err)
	}
}

// TestReadFileRefusesWhatIsNone: a file with a writer to wait for, or without an end, is
// refused before it is opened.
func TestReadFileRefusesWhatIsNone(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, is := range map[string]string{pipe: "a pipe", "/dev/zero": "a device",
		t.TempDir(): "a directory"} {
		if list, err := ReadFile(name); err == nil ||
			err.Error() != "read "+name+": it is "+is+": want a regular file" || list != nil {
			t.Errorf("%s: %v, %v, want that it is %s", name, list, err, is)
		}
	}
}

// FuzzRead: an accepted list holds masked prefixes that read back as themselves, and
// none of them is everything.
func FuzzRead(f *testing.F) {
	for _, s := range []string{"192.0.2.1\n", "2001:DB8::/33 # x\r\n", "0.0.0.0/0", "::ffff:1.2.3.4/96",
		"a.b\n", "\ufeff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		list, err := Read(strings.NewReader(s))
		if err != nil && list != nil {
			t.Fatal("a list beside an error")
		}
		for _, p := range list {
			if q, why := Parse(p.String()); why != "" || q != p || p != p.Masked() || p.Bits() == 0 {
				t.Fatalf("%v reads back as %v (%s)", p, q, why)
			}
		}
	})
}
