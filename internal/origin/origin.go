// SPDX-License-Identifier: MIT

// Package origin finds the country and the network of an address in databases of
// MaxMind's format: GeoLite2 and GeoIP2 of MaxMind, DB-IP's and IPinfo's free ones.
// The operator supplies them.
//
// A database is read into memory whole. A mapping would save memory, and end the
// process with SIGBUS when somebody writes over the file in place.
//
// It refuses a file in another format, a database without the wanted records (one of
// networks for countries), and one of more than 256 MiB. The name of a network is
// its holder's choice: it is cut to 64 columns, and made printable.
//
// It reads the files, once, and asks no network.
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
	// ErrKind means that a database lacks the wanted records.
	ErrKind = errors.New("the wrong database")
)

// A Kind is the content of a database.
type Kind uint8

// The kinds.
const (
	Country Kind = iota // the country of an address: GeoLite2-Country, GeoLite2-City and the like
	Network             // the autonomous system and its holder: GeoLite2-ASN, GeoIP2-ISP and the like
)

// String names the content of a database's records.
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
	// samples is the number of records examined for the wanted content: few records of
	// a right database lack it.
	samples = 4096
	// steps bounds the search for records, in a damaged tree too, which may lead back
	// into itself; showing empty networks bounds a step.
	steps = 1 << 19
)

// A Database is an open database. Any number of goroutines may ask it.
type Database struct {
	kind   Kind
	reader *maxminddb.Reader
}

// Open reads the database in the named file and checks its kind. An error wraps
// [ErrFormat], [ErrKind] or the file system's error.
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
	// O_NONBLOCK: do not wait for the writer of a named pipe.
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

// check looks for one record with the wanted content.
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
	return fmt.Errorf("%w: none of the first %d records of this %s has a %s: want one like %s",
		ErrKind, looked, describe(d.reader), d.kind, d.kind.example())
}

// describe names a database by its maker's description.
func describe(r *maxminddb.Reader) string {
	return fmt.Sprintf("%q", show.Cut(r.Metadata.DatabaseType, maxName))
}

// An Origin is the country and the network of an address.
type Origin struct {
	Country string // two letters (ISO 3166-1), "" if unknown
	ASN     uint32 // number of the autonomous system, 0 if unknown
	Network string // its holder, "" if unknown
}

// Find returns the origin of a. A nil Database knows none.
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

// origin reads a record. A missing text, or one of another type, stays empty.
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
			{"registered_country", "iso_code"}, // MaxMind, for addresses without a place
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
		asn, _ = strconv.ParseUint(strings.TrimPrefix(text("asn"), "AS"), 10, 32) // IPinfo; 0 if invalid
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
