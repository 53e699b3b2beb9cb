// SPDX-License-Identifier: MIT

package origin

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"
)

// countries is a database from lab/oracle, which compares it with the output of
// MaxMind's own library.
func countries() string { return "testdata/countries.mmdb" }
func networks() string  { return "testdata/networks.mmdb" }

func open(t testing.TB, path string, kind Kind) *Database {
	t.Helper()
	d, err := Open(path, kind)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestFind(t *testing.T) {
	country, network := open(t, countries(), Country), open(t, networks(), Network)
	for address, want := range map[string]Origin{
		"192.0.2.9":        {"NL", 64496, "Example?[2J? Networks"},
		"::ffff:192.0.2.9": {"NL", 64496, "Example?[2J? Networks"},
		"198.51.100.1":     {"US", 64497, "Other Example"},
		"198.51.100.200":   {"US", 64498, strings.Repeat("ä", 64)},
		"203.0.113.1":      {"DE", 0, ""},
		"203.0.113.130":    {"FR", 0, ""},
		"203.0.113.200":    {}, // an invalid code
		"203.0.113.230":    {}, // a code of another type
		"2001:db8:1::7":    {"JP", 0, ""},
		"2001:db8:2::7":    {},
		"10.0.0.1":         {},
	} {
		a := netip.MustParseAddr(address)
		got := network.Find(a)
		got.Country = country.Find(a).Country
		if got != want {
			t.Errorf("%s: %+v, want %+v", address, got, want)
		}
	}
	if o := country.Find(netip.Addr{}); o != (Origin{}) {
		t.Errorf("no address is from %+v", o)
	}
	if o := (*Database)(nil).Find(netip.MustParseAddr("192.0.2.9")); o != (Origin{}) {
		t.Errorf("no database knows %+v", o)
	}
}

func TestRefused(t *testing.T) {
	good, err := os.ReadFile(countries())
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, b []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, x := range []struct {
		name, path string
		kind       Kind
		err        error
		says       string
	}{
		{"another kind", networks(), Country, ErrKind,
			`the wrong database: none of the first 4 records of this "GeoLite2-ASN" has a country: want ` +
				`one like GeoLite2-Country.mmdb`},
		{"another kind", countries(), Network, ErrKind,
			`of this "GeoLite2-Country" has a network: want one like GeoLite2-ASN.mmdb`},
		{"empty database", "testdata/empty.mmdb", Country, ErrKind, `no record of this "Empty" was found`},
		{"empty file", write("empty", nil), Country, ErrFormat, "no database in MaxMind's format"},
		{"text", write("text", []byte("192.0.2.0/24,NL\n")), Country, ErrFormat, "no database"},
		{"cut at its end", write("cut", good[:len(good)-40]), Country, ErrFormat, "no database"},
		{"cut at its start", write("cut", good[len(good)-300:]), Country, ErrFormat, "no database"},
		{"not there", "/nonexistent", Country, fs.ErrNotExist, "no such file"},
		{"directory", t.TempDir(), Country, nil, "not a regular file"},
	} {
		t.Run(x.name, func(t *testing.T) {
			d, err := Open(x.path, x.kind)
			if err == nil || d != nil || !strings.Contains(err.Error(), x.says) ||
				x.err != nil && !errors.Is(err, x.err) {
				t.Errorf("%v, want %q", err, x.says)
			}
		})
	}
}

// FuzzOpen: any database is refused or can be asked.
func FuzzOpen(f *testing.F) {
	for _, path := range []string{countries(), networks()} {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, kind := range []Kind{Country, Network} {
			d, err := load(b, kind)
			if err != nil {
				continue
			}
			for _, a := range []string{"192.0.2.9", "198.51.100.200", "2001:db8:1::7", "255.255.255.255"} {
				o := d.Find(netip.MustParseAddr(a))
				if utf8.RuneCountInString(o.Network) > maxName ||
					strings.ContainsAny(o.Network+o.Country, "\x1b\n\x00") {
					t.Errorf("%q", o.Network+o.Country)
				}
			}
		}
	})
}

func BenchmarkFind(b *testing.B) {
	country, network, a := open(b, countries(), Country), open(b, networks(), Network),
		netip.MustParseAddr("192.0.2.9")
	b.ReportAllocs()
	for b.Loop() {
		country.Find(a)
		network.Find(a)
	}
}

// TestOpenDoesNotWaitForAPipe: a wait for the writer of a pipe would hold up a check of
// the configuration, and the daemon.
func TestOpenDoesNotWaitForAPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe.mmdb")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { _, err := Open(pipe, Country); done <- err }()
	select {
	case err := <-done:
		if want := "read database: " + pipe + ": not a regular file"; err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	case <-time.After(5 * time.Second):
		t.Error("still waiting after 5 s")
	}
}
