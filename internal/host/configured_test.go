// SPDX-License-Identifier: MIT

package host

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestNamed(t *testing.T) {
	tests := []struct {
		name  string
		words []string
		conf  string
		want  string
	}{
		{"resolv.conf", resolvConf, "# nameserver 192.0.2.9\nsearch example.org\nnameserver 192.0.2.53\n" +
			"nameserver fe80::1%eth0\nnameserver 127.0.0.53\nnameserver\n", "[192.0.2.53 fe80::1]"},
		{"resolved", resolvedConf, "[Resolve]\n#DNS=192.0.2.9\nDNS=192.0.2.53:5353#dns.example " +
			"[2001:db8::53]:853 " +
			"2001:db8::54#x\nDomains=~.\n", "[192.0.2.53 2001:db8::53 2001:db8::54]"},
		{"dnsmasq", dnsmasqConf, "server=/example.org/192.0.2.53#5353\n" +
			"rev-server=198.51.100.0/24,192.0.2.54\n" +
			"server=2001:db8::53@eth0\nlisten-address=192.0.2.9\nserver=/local/\n",
			"[192.0.2.53 192.0.2.54 2001:db8::53]"},
		{"unbound", unboundConf, "forward-zone:\n  name: \".\"\n" +
			"  forward-addr: 192.0.2.53@853#dns.example\n" +
			"  forward-addr: 2001:db8::53\n  interface: 192.0.2.9\n", "[192.0.2.53 2001:db8::53]"},
		{"named", namedConf, "options {\n  listen-on { 192.0.2.9; };\n  forwarders {\n    192.0.2.53;\n" +
			"    // 192.0.2.8\n" +
			"    2001:db8::53 port 5353;\n  };\n  allow-query { 192.0.2.7; };\n};\n" +
			"forwarders { 192.0.2.54; };\n",
			"[192.0.2.53 2001:db8::53 192.0.2.54]"},
		{"timesyncd", timesyncdConf, "[Time]\nNTP=192.0.2.123 time.example.org\nFallbackNTP=2001:db8::123\n",
			"[192.0.2.123 2001:db8::123]"},
		{"chrony", ntpConf, "pool 2.debian.pool.ntp.org iburst\nserver 192.0.2.123 iburst minpoll 4\n" +
			"peer 2001:db8::123\n" +
			"! server 192.0.2.9\nallow 198.51.100.0/24\n", "[192.0.2.123 2001:db8::123]"},
		{"nobody", ntpConf, "server 0.0.0.0\nserver 127.127.1.0\nserver 224.0.1.1\nserver ::\n", "[]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := fmt.Sprint(named([]byte(test.conf), test.words)); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// TestConfigured: only regular files are read, a long one in part, and no address is named twice.
func TestConfigured(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, contents []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), contents, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a.conf", []byte("nameserver 192.0.2.53\n"))
	long := bytes.Repeat([]byte("# a comment\n"), mostBytes/12+1)
	write("b.conf", append([]byte("nameserver 192.0.2.53\nnameserver 192.0.2.54\n"),
		append(long, "nameserver 192.0.2.55\n"...)...))
	if err := os.Mkdir(filepath.Join(dir, "c.conf"), 0o700); err != nil {
		t.Fatal(err)
	}
	got := configured([]source{{filepath.Join(dir, "*.conf"), resolvConf, resolver}})
	if fmt.Sprint(got) != "[{192.0.2.53/32 resolver} {192.0.2.54/32 resolver}]" {
		t.Errorf("got %v", got)
	}
}

// TestWatchFiles: a file written, replaced or made in a new directory is noticed.
func TestWatchFiles(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	news, done := make(chan struct{}, 1), make(chan struct{})
	file := filepath.Join(dir, "below", "resolv.conf")
	go func() {
		defer close(done)
		watchFiles(ctx, []source{{file, resolvConf, resolver}}, news)
	}()
	t.Cleanup(func() { cancel(); <-done })
	// Until the watch stands, a change may go unnoticed.
	for n := 0; ; n++ {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, fmt.Appendf(nil, "nameserver 192.0.2.%d\n", n%10+10*n),
			0o600); err != nil {
			t.Fatal(err)
		}
		select {
		case <-news:
		case <-time.After(3 * settle):
			continue
		}
		break
	}
	for range 3 {
		if err := os.WriteFile(file+".new", []byte("nameserver 192.0.2.53\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
		await(t, news, "a file that was replaced")
	}
}
