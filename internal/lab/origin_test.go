// SPDX-License-Identifier: MIT

package lab

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

// countries writes a database with a country for the attacker.
func countries(t *testing.T, path, code string) {
	t.Helper()
	_, prefix, err := net.ParseCIDR("192.0.2.0/24")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "GeoLite2-Country",
		IncludeReservedNetworks: true})
	if err == nil {
		err = tree.Insert(prefix, mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String(code)}})
	}
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path + ".new")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := tree.WriteTo(f); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// TestOriginIsReadAgain: the country of a source is in its events. SIGHUP reads a newer
// database; an invalid one changes nothing and is reported.
func TestOriginIsReadAgain(t *testing.T) {
	l := newLab(t)
	path := filepath.Join(t.TempDir(), "country.mmdb")
	countries(t, path, "NL")
	config := "[origin]\ncountry = \"" + path + "\"\n"
	d := start(t, l.Target, Options{Config: config})
	told := func(i int, code string) {
		t.Helper()
		forge(t, l, Source4(i), l.Target.V4, uint32(1000*i))
		for _, event := range []string{"event=probe ", "event=block "} {
			if _, err := d.WaitEvent(3*time.Second, event, "source="+Source4(i).String()+" ",
				"country="+code+" "); err != nil {
				t.Error(err)
			}
		}
	}
	told(1, "NL")
	countries(t, path, "DE")
	told(2, "NL")
	if err := d.Reload(config); err != nil {
		t.Fatal(err)
	}
	if _, err := d.WaitEvent(3*time.Second, "was read again"); err != nil {
		t.Fatal(err)
	}
	told(3, "DE")
	if err := os.WriteFile(path, []byte("192.0.2.0/24,FR\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.Reload(config); err != nil {
		t.Fatal(err)
	}
	if _, err := d.WaitEvent(3*time.Second, "picket.toml:2: origin.country: ",
		"no database in MaxMind's format"); err != nil {
		t.Error(err)
	}
	told(4, "DE")
}
