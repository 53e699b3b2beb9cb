// SPDX-License-Identifier: MIT

package oracle

import (
	"bytes"
	"flag"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

var update = flag.Bool("update", false, "write the databases anew")

// A database is a file of internal/origin/testdata.
type database struct {
	kind    string
	version int // of IP
	records map[string]mmdbtype.Map
}

// databases are those of the tests in internal/origin and cmd/picket.
var databases = map[string]database{
	"countries": {"GeoLite2-Country", 6, map[string]mmdbtype.Map{
		"192.0.2.0/24": code("country", "NL"), "2001:db8:1::/48": code("country", "JP"),
		"198.51.100.0/24":  code("registered_country", "US"),
		"203.0.113.0/25":   {"country_code": mmdbtype.String("DE")},
		"203.0.113.128/26": {"country": mmdbtype.String("FR")},
		"203.0.113.192/27": code("country", "\x1b[31m"),
		"203.0.113.224/27": {"country": mmdbtype.Map{"iso_code": mmdbtype.Uint32(4)}},
	}},
	"networks": {"GeoLite2-ASN", 4, map[string]mmdbtype.Map{
		"192.0.2.0/24":      holder(64496, "Example\x1b[2J\u202e Networks"),
		"198.51.100.0/25":   {"asn": mmdbtype.String("AS64497"), "as_name": mmdbtype.String("Other Example")},
		"198.51.100.128/25": holder(64498, strings.Repeat("ä", 70)),
		"203.0.113.0/24":    {"asn": mmdbtype.String("none")},
	}},
	"empty":   {"Empty", 6, nil},
	"country": {"country", 6, map[string]mmdbtype.Map{"192.0.2.0/24": code("country", "NL")}},
	"asn":     {"asn", 6, map[string]mmdbtype.Map{"192.0.2.0/24": holder(64496, "Example \x1b[31mNetworks")}},
}

// code is a record of MaxMind's country databases.
func code(key, iso string) mmdbtype.Map {
	return mmdbtype.Map{mmdbtype.String(key): mmdbtype.Map{"iso_code": mmdbtype.String(iso)}}
}

// holder is a record of MaxMind's databases of networks.
func holder(asn uint32, name string) mmdbtype.Map {
	return mmdbtype.Map{
		"autonomous_system_number":       mmdbtype.Uint32(asn),
		"autonomous_system_organization": mmdbtype.String(name),
	}
}

// TestDatabases: the files are the output of MaxMind's own library for the records above.
func TestDatabases(t *testing.T) {
	for name, d := range databases {
		want := d.write(t)
		path := filepath.Join("../../origin/testdata", name+".mmdb")
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v, or it has other bytes; -update writes it anew", path, err)
		}
	}
}

// write returns the bytes of a database.
func (d database) write(t *testing.T) []byte {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{
		DatabaseType: d.kind, IPVersion: d.version, IncludeReservedNetworks: true, RecordSize: 24,
		BuildEpoch: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	for prefix, record := range d.records {
		_, network, err := net.ParseCIDR(prefix)
		if err == nil {
			err = tree.Insert(network, record)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if _, err := tree.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
