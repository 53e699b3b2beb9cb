// SPDX-License-Identifier: MIT

// Package origin tells which country and which network an address belongs to,
// from databases in MaxMind's format that the operator supplies: GeoLite2 and
// GeoIP2 of MaxMind, DB-IP's and IPinfo's free ones.
//
// A database is read into memory whole. Mapping it would save that, and would
// end the process with SIGBUS when somebody writes over the file in place.
//
// It refuses a file that is no such database, one whose records do not have what
// is asked of them (a database of networks where countries are wanted), and one
// of more than 256 MiB. Names of networks are what their holders chose: they
// are cut to 64 columns, and what is not printable is replaced.
//
// It needs to read the files, once, and nothing else: no network is asked.
package origin

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/oschwald/maxminddb-golang/v2"

	"picket/internal/show"
)

// Errors that [Open] wraps.
var (
	// ErrFormat means that a file is no database in MaxMind's format.
	ErrFormat = errors.New("no database in MaxMind's format (.mmdb)")
	// ErrKind means that a database does not have what is asked of it.
	ErrKind = errors.New("the wrong database")
)

// A Kind is what a database is asked for.
type Kind uint8

// The kinds.
const (
	Country Kind = iota // the country of an address: GeoLite2-Country, GeoLite2-City and the like
	Network             // the autonomous system and who holds it: GeoLite2-ASN, GeoIP2-ISP and the like
)

// String names what the records of a database of that kind hold.
func (k Kind) String() string {
	if k == Country {
		return "country"
	}
	return "network"
}

// example is a database of a kind, for messages.
func (k Kind) example() string {
	if k == Country {
		return "GeoLite2-Country.mmdb"
	}
	return "GeoLite2-ASN.mmdb"
}

const (
	maxFile = 256 << 20 // bytes of a database; GeoIP2-City has some 120 MiB
	maxName = 64        // columns of a network's name
	// samples is how many records are looked at before a database is the wrong
	// one: few of a right one are without what it is for.
	samples = 4096
	// steps bounds the search for records, that of a damaged tree too, which may
	// lead back into itself; to have empty networks shown bounds a step.
	steps = 1 << 19
)

// A Database is an open database. Any number of goroutines may ask it.
type Database struct {
	kind   Kind
	reader *maxminddb.Reader
}

// Open reads the database in the named file and makes sure that it is of that
// kind. An error wraps [ErrFormat], [ErrKind] or what the file system said.
func Open(name string, kind Kind) (*Database, error) {
	b, err := read(name)
	if err != nil {
		return nil, fmt.Errorf("read database: %w", err)
	}
	d, err := load(b, kind)
	if err != nil {
		return nil, fmt.Errorf("read database %s: %w", name, err)
	}
	return d, nil
}

func load(b []byte, kind Kind) (*Database, error) {
	r, err := maxminddb.OpenBytes(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrFormat, err)
	}
	d := &Database{kind, r}
	return d, d.check()
}

func read(name string) ([]byte, error) {
	// Not to wait for the writer of a named pipe.
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", name)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if len(b) > maxFile {
		return nil, fmt.Errorf("%s: more than %d MiB", name, maxFile>>20)
	}
	return b, err
}

// check looks for one record with what the database is asked for.
func (d *Database) check() error {
	looked, step := 0, 0
	for r := range d.reader.Networks(maxminddb.IncludeNetworksWithoutData()) {
		if err := r.Err(); err != nil {
			return fmt.Errorf("%w: %v", ErrFormat, err)
		}
		if d.origin(r) != (Origin{}) {
			return nil
		}
		if r.Found() {
			looked++
		}
		if step++; looked == samples || step == steps {
			break
		}
	}
	if looked == 0 {
		return fmt.Errorf("%w: no record of this %s was found", ErrKind, describe(d.reader))
	}
	return fmt.Errorf("%w: none of the first %d records of this %s has a %s: want one like %s", ErrKind, looked, describe(d.reader), d.kind, d.kind.example())
}

// describe names a database as its maker does.
func describe(r *maxminddb.Reader) string {
	return fmt.Sprintf("%q", show.Cut(r.Metadata.DatabaseType, maxName))
}

// An Origin is where an address comes from, as far as it is known.
type Origin struct {
	Country string // two letters (ISO 3166-1), "" if not known
	ASN     uint32 // number of the autonomous system, 0 if not known
	Network string // who holds it, "" if not known
}

// Find returns what the database knows of a. A nil Database knows nothing.
func (d *Database) Find(a netip.Addr) Origin {
	if d == nil || !a.IsValid() {
		return Origin{}
	}
	r := d.reader.Lookup(a.Unmap())
	if r.Err() != nil || !r.Found() { // an IPv6 address in a database of IPv4, or a damaged record
		return Origin{}
	}
	return d.origin(r)
}

// origin reads a record. Where there is nothing of a name, or of another type,
// the text stays empty.
func (d *Database) origin(r maxminddb.Result) (o Origin) {
	text := func(path ...any) (s string) {
		if r.DecodePath(&s, path...) != nil {
			return ""
		}
		return s
	}
	if d.kind == Country {
		for _, path := range [...][]any{
			{"country", "iso_code"},            // MaxMind, DB-IP
			{"registered_country", "iso_code"}, // MaxMind, where the addresses are nowhere in particular
			{"country_code"},                   // IPinfo
			{"country"},                        // IPinfo, older
		} {
			if code := text(path...); isCode(code) {
				return Origin{Country: code}
			}
		}
		return Origin{}
	}
	var asn uint64
	if r.DecodePath(&asn, "autonomous_system_number") != nil || asn == 0 { // MaxMind, DB-IP
		asn, _ = strconv.ParseUint(strings.TrimPrefix(text("asn"), "AS"), 10, 32) // IPinfo; 0 if it is none
	}
	if asn == 0 || asn > 1<<32-1 {
		return Origin{}
	}
	name := text("autonomous_system_organization")
	if name == "" {
		if name = text("as_name"); name == "" {
			name = text("name")
		}
	}
	return Origin{ASN: uint32(asn), Network: show.Cut(name, maxName)}
}

// isCode reports whether s is two capital letters.
func isCode(s string) bool {
	return len(s) == 2 && 'A' <= s[0] && s[0] <= 'Z' && 'A' <= s[1] && s[1] <= 'Z'
}
