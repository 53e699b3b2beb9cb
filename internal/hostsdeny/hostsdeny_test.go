// SPDX-License-Identifier: MIT

package hostsdeny

import (
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		if p, err := netip.ParsePrefix(s); err == nil {
			out = append(out, p)
			continue
		}
		a := netip.MustParseAddr(s)
		out = append(out, netip.PrefixFrom(a, a.BitLen()))
	}
	return out
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func open(t *testing.T, path, format string) *File {
	t.Helper()
	f, err := New(path, format)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestLine(t *testing.T) {
	for _, c := range []struct{ format, source, want string }{
		{FormatPlain, "192.0.2.1", "ALL: 192.0.2.1"},
		{FormatOption, "192.0.2.1", "ALL: 192.0.2.1 : DENY"},
		{FormatPlain, "192.0.2.0/28", "ALL: 192.0.2.0/255.255.255.240"},
		{FormatPlain, "2001:db8::1", "ALL: [2001:db8::1]"},
		{FormatOption, "2001:db8:0:1::/64", "ALL: [2001:db8:0:1::]/64 : DENY"},
		{"sshd, vsftpd: $TARGET$", "192.0.2.1", "sshd, vsftpd: 192.0.2.1"},
	} {
		if got := open(t, "", c.format).Line(prefixes(c.source)[0]); got != c.want {
			t.Errorf("%q with %s: %q, want %q", c.format, c.source, got, c.want)
		}
	}
}

func TestCheckFormat(t *testing.T) {
	for _, bad := range []string{"", "ALL: ALL", "ALL: $TARGET$\nsshd: ALL", "ALL: $TARGET$ \\",
		"#ALL: $TARGET$", "$TARGET$", "ALL: $TARGET$" + strings.Repeat(" ", 2000)} {
		if _, err := New("x", bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestByteForByte(t *testing.T) {
	for name, text := range map[string]string{
		"empty":               "",
		"comments":            "# /etc/hosts.deny\n#\n",
		"rules":               "ALL: PARANOID\nsshd: 198.51.100.0/255.255.255.0\n",
		"no final newline":    "ALL: PARANOID",
		"CRLF":                "# dos\r\nALL: PARANOID\r\n",
		"a continuation":      "ALL: 198.51.100.1 \\\n",
		"half a continuation": "ALL: 198.51.100.1 \\",
		"empty lines":         "\n\n\n",
		"bytes of all kinds":  "\x00\xff\n\x1b[2J\n",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "hosts.deny")
			write(t, path, text)
			f := open(t, path, FormatPlain)
			a, b := prefixes("192.0.2.1", "2001:db8::1"), prefixes("192.0.2.2", "192.0.2.1")
			for _, step := range []func() error{
				func() error { return f.Update(a, nil) },
				func() error { return f.Update(b, a[:1]) },
				func() error { return f.Update(b, nil) },
			} {
				if err := step(); err != nil {
					t.Fatal(err)
				}
				if got := read(t, path); !strings.HasPrefix(got, text) {
					t.Fatalf("foreign lines changed: %q", got)
				}
			}
			want := begin + "\nALL: [2001:db8::1]\nALL: 192.0.2.2\nALL: 192.0.2.1\n" + end + "\n"
			if got := read(t, path); name == "rules" && got != text+want {
				t.Errorf("section (-want +got):\n%s", cmp.Diff(text+want, got))
			}
			if err := f.Update(nil, append(a, b...)); err != nil {
				t.Fatal(err)
			}
			if got := read(t, path); got != text {
				t.Errorf("left behind:\n%s", cmp.Diff(text, got))
			}
		})
	}
}

func TestMadeFileIsRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts.deny")
	f := open(t, path, FormatPlain)
	if err := f.Update(nil, prefixes("192.0.2.1")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Fatal("a file was made for nothing")
	}
	if err := f.Update(prefixes("192.0.2.1"), nil); err != nil {
		t.Fatal(err)
	}
	if err := open(t, path, FormatPlain).Clear(); err != nil { // another run
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Errorf("left behind: %q", read(t, path))
	}
}

func TestForeignEditsStay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts.deny")
	write(t, path, "ALL: PARANOID")
	f := open(t, path, FormatPlain)
	if err := f.Update(prefixes("192.0.2.1"), nil); err != nil {
		t.Fatal(err)
	}
	write(t, path, "# new above\n"+read(t, path)+"ftpd: ALL\n")
	if err := f.Clear(); err != nil {
		t.Fatal(err)
	}
	if got, want := read(t, path), "# new above\nALL: PARANOID\nftpd: ALL\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReplaceTakesOverAnEarlierRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts.deny")
	write(t, path, "a: b\n")
	if err := open(t, path, FormatOption).Update(prefixes("192.0.2.1", "192.0.2.2"), nil); err != nil {
		t.Fatal(err)
	}
	if err := open(t, path, FormatPlain).Replace(prefixes("192.0.2.2", "192.0.2.2")); err != nil {
		t.Fatal(err)
	}
	if got, want := read(t, path), "a: b\n"+begin+"\nALL: 192.0.2.2\n"+end+"\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestKeepsModeOwnerAndAttributes(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real", "deny"), filepath.Join(dir, "hosts.deny")
	if err := os.Mkdir(filepath.Dir(real), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, real, "a: b\n")
	for _, err := range []error{
		os.Symlink("real/deny", link), os.Chown(real, 1234, 4321), os.Chmod(real, 0o640|fs.ModeSetgid),
		unix.Setxattr(real, "user.note", []byte("mine"), 0),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := open(t, link, FormatPlain).Update(prefixes("192.0.2.1"), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Readlink(link); err != nil {
		t.Error("the symbolic link is gone")
	}
	info, err := os.Stat(real)
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	if info.Mode() != 0o640|fs.ModeSetgid || st.Uid != 1234 || st.Gid != 4321 {
		t.Errorf("mode %v, owner %d:%d", info.Mode(), st.Uid, st.Gid)
	}
	buf := make([]byte, 10)
	if n, err := unix.Getxattr(real, "user.note", buf); err != nil || string(buf[:n]) != "mine" {
		t.Errorf("attribute %q, %v", buf[:max(n, 0)], err)
	}
	left, _ := filepath.Glob(filepath.Join(dir, "real", ".picket*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestRefuses(t *testing.T) {
	holding := func(text string) func(path string) error {
		return func(path string) error { return os.WriteFile(path, []byte(text), 0o644) }
	}
	for name, c := range map[string]struct {
		make func(path string) error
		want string
	}{
		"read-only": {func(p string) error { return os.WriteFile(p, nil, 0o444) },
			"read-only (mode 0444)"},
		"a directory":     {func(p string) error { return os.Mkdir(p, 0o755) }, "not a regular file"},
		"a pipe":          {func(p string) error { return unix.Mkfifo(p, 0o644) }, "not a regular file"},
		"a broken link":   {func(p string) error { return os.Symlink("nowhere", p) }, "leads nowhere"},
		"no end mark":     {holding(begin + "\nALL: 192.0.2.1\n"), "1 begin and 0 end marks"},
		"marks reversed":  {holding(end + "\n" + begin + "\n"), "ends before it begins"},
		"marks doubled":   {holding(strings.Repeat(begin+"\n"+end+"\n", 2)), "2 begin"},
		"too large a one": {func(p string) error { return os.WriteFile(p, nil, 0o644) }, "larger"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "hosts.deny")
			if err := c.make(path); err != nil {
				t.Fatal(err)
			}
			if c.want == "larger" {
				if err := os.Truncate(path, MaxSize+1); err != nil {
					t.Fatal(err)
				}
			}
			err := open(t, path, FormatPlain).Update(prefixes("192.0.2.1"), nil)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want %q and the path", err, c.want)
			}
		})
	}
}

// TestNobodysEditIsLost: somebody saves the file between picket's reading and
// writing, and then twenty goroutines of picket add a line each.
func TestNobodysEditIsLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts.deny")
	write(t, path, "")
	f := open(t, path, FormatPlain)
	d, err := load(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, "sshd: 198.51.100.1\n") // between picket's reading and writing
	if err := d.save([]byte("stale")); err == nil || !strings.Contains(err.Error(), "meanwhile") {
		t.Errorf("a stale text was written: %v", err)
	}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if err := f.Update(prefixes(fmt.Sprintf("192.0.2.%d", i)), nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := read(t, path); strings.Count(got, "ALL: ") != 20 ||
		!strings.HasPrefix(got, "sshd: 198.51.100.1\n") {
		t.Errorf("lost something: %q", got)
	}
}

func TestTenThousand(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts.deny")
	const text = "ALL: PARANOID\n"
	write(t, path, text)
	f := open(t, path, FormatOption)
	var all []netip.Prefix
	for a := netip.MustParseAddr("198.18.0.0"); len(all) < 10_000; a = a.Next() {
		all = append(all, netip.PrefixFrom(a, 32))
	}
	if err := f.Update(all, nil); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(read(t, path), " : DENY\n"); n != len(all) {
		t.Fatalf("%d lines", n)
	}
	for i := 0; i < len(all); i += 500 { // as they expire
		if err := f.Update(nil, all[i:i+500]); err != nil {
			t.Fatal(err)
		}
	}
	if got := read(t, path); got != text {
		t.Errorf("left behind %d bytes", len(got))
	}
}

// TestLibwrapAgrees: libwrap's own tcpdmatch (Debian: tcpd) reads our lines as
// we mean them.
func TestLibwrapAgrees(t *testing.T) {
	if _, err := exec.LookPath("tcpdmatch"); err != nil {
		t.Fatal("tcpdmatch is missing: apt-get install tcpd")
	}
	for _, format := range []string{FormatPlain, FormatOption} {
		dir := t.TempDir()
		path := filepath.Join(dir, "hosts.deny")
		write(t, filepath.Join(dir, "hosts.allow"), "")
		write(t, path, "vsftpd: 203.0.113.1 \\") // the worst possible last line
		f := open(t, path, format)
		if err := f.Update(prefixes("192.0.2.1", "198.51.100.16/28", "2001:db8::1", "2001:db8:0:7::/64"),
			nil); err != nil {
			t.Fatal(err)
		}
		for client, denied := range map[string]bool{
			"192.0.2.1": true, "192.0.2.10": false, "198.51.100.31": true, "198.51.100.32": false,
			"2001:db8::1": true, "2001:db8::2": false, "2001:db8:0:7::abcd": true, "2001:db8:0:8::1": false,
			"203.0.113.1": false,
		} {
			cmd := exec.Command("tcpdmatch", "-d", "sshd", client)
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("tcpdmatch: %v\n%s", err, out)
			}
			if got := strings.Contains(string(out), "denied"); got != denied ||
				strings.Contains(string(out), "warning") {
				t.Errorf("%q, client %s: denied %v, want %v\n%s", format, client, got, denied, out)
			}
		}
	}
}
