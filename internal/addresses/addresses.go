// SPDX-License-Identifier: MIT

// Package addresses reads lists of addresses: of friends, of known sources, and
// PortSentry's portsentry.ignore, all of one form.
//
// A line is an address or a prefix, IPv4 or IPv6; blanks around it, a carriage
// return, a comment after "#" and a missing final newline do no harm. Host bits are
// masked: 192.0.2.9/24 is 192.0.2.0/24.
//
// One bad line refuses the whole list: half a list would block a friend. Every
// fault is reported at once, with its line. A host name is a fault too: the owner of
// its zone could change its meaning.
//
// [Read] is pure; [ReadFile] opens a regular file and no other: a pipe would wait
// for its writer.
package addresses

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"

	"go4.org/netipx"
)

// Bounds of a list: a wrong file (a log, say) is refused without reading it to its
// end.
const (
	MaxLine    = 1024    // bytes of a line, its end not counted
	MaxEntries = 500_000 // entries of a list
	maxFaults  = 20      // faults reported one by one
)

// A Fault is an unusable line.
type Fault struct {
	Line int    // from 1
	Text string // the line
	Why  string // the error and the remedy
}

// Error implements error.
func (f Fault) Error() string {
	return fmt.Sprintf("line %d: %.80q %s", f.Line, f.Text, f.Why)
}

// ReadFile reads the list in the named file. With an error the list is nil; each
// line of the error names the file.
func ReadFile(name string) ([]netip.Prefix, error) {
	if err := Regular(name); err != nil {
		return nil, err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	list, err := readList(f, int(min(info.Size()/shortLine, MaxEntries)))
	var faults interface{ Unwrap() []error }
	switch {
	case err == nil:
		return list, nil
	case !errors.As(err, &faults):
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var all []error
	for _, f := range faults.Unwrap() {
		all = append(all, fmt.Errorf("%s: %w", name, f))
	}
	return nil, errors.Join(all...)
}

// Regular refuses anything but a regular file or a link to one: a directory, a pipe,
// which hangs without a writer, a device, which may have no end. The error is an
// [fs.PathError].
func Regular(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	is := "a device"
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		is = "a directory"
	case mode&fs.ModeNamedPipe != 0:
		is = "a pipe"
	case mode&fs.ModeSocket != 0:
		is = "a socket"
	}
	return &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("it is %s: want a regular file", is)}
}

// Read reads a list. The prefixes are masked, IPv4-mapped ones are IPv4, and they
// stand in the order of their lines, each once. With a bad line the list is nil and
// the error joins a [Fault] for each.
func Read(r io.Reader) ([]netip.Prefix, error) { return readList(r, 0) }

// shortLine is the length of a short line. A list that grows leaves four times its size
// as garbage, and what is allocated there next takes memory at once; room that no entry
// takes costs nothing.
const shortLine = int64(len("192.0.2.1\n"))

func readList(r io.Reader, room int) ([]netip.Prefix, error) {
	list := make([]netip.Prefix, 0, room)
	var faults []error
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 0, MaxLine+2), MaxLine+2) // with room for "\r\n"
	n := 0
	for sc.Scan() {
		n++
		text, _, _ := strings.Cut(sc.Text(), "#")
		if n == 1 {
			text = strings.TrimPrefix(text, "\ufeff") // a byte order mark of some editors
		}
		text = strings.Trim(text, " \t\r")
		if text == "" {
			continue
		}
		p, why := Parse(text)
		switch {
		case why != "":
			faults = append(faults, Fault{n, text, why})
		case len(list) == MaxEntries:
			return nil, fmt.Errorf("line %d: more than %d entries; a list this long belongs in a prefix", n,
				MaxEntries)
		default:
			list = append(list, p)
		}
		if len(faults) == maxFaults {
			faults = append(faults, errors.New("and perhaps more: reading stopped here"))
			break
		}
	}
	switch err := sc.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		faults = append(faults, fmt.Errorf("line %d: longer than %d bytes; is this a list of addresses?", n+1,
			MaxLine))
	case err != nil:
		return nil, err // half a list is no list
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return once(list), nil
}

// once removes repeated entries. There is seldom one, and a map or a copy of a long list
// takes more than the places of its entries.
func once(list []netip.Prefix) []netip.Prefix {
	order := make([]uint32, len(list))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int { return list[a].Compare(list[b]) })
	same := func(a, b uint32) bool { return list[a] == list[b] }
	if len(slices.CompactFunc(order, same)) == len(list) {
		return list
	}
	seen := make(map[netip.Prefix]bool)
	return slices.DeleteFunc(list, func(p netip.Prefix) bool {
		was := seen[p]
		seen[p] = true
		return was
	})
}

// Parse reads an entry of a list: a [Source] other than everybody.
func Parse(s string) (p netip.Prefix, why string) {
	p, why = Source(s)
	if why == "" && p.Bits() == 0 {
		// PortSentry took /0 for /32; picket would take it for everybody.
		return netip.Prefix{}, "is every address there is: name those that are meant; to have nothing " +
			"blocked set action to log"
	}
	return p, why
}

// Source reads an address or a prefix, and masks it; an IPv4-mapped one is IPv4. For
// anything else why has the reason, to be put behind it in a message; otherwise it
// is "".
func Source(s string) (p netip.Prefix, why string) {
	addr, bits, isPrefix := strings.Cut(s, "/")
	a, err := netip.ParseAddr(addr)
	switch {
	case err != nil:
		return netip.Prefix{}, guess(s)
	case a.Zone() != "":
		return netip.Prefix{}, "has an interface behind %: leave it out, a source is the address alone"
	case !isPrefix:
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), ""
	}
	p, err = netip.ParsePrefix(s)
	if err != nil {
		if m, err := netip.ParseAddr(bits); err == nil && m.Is4() {
			return netip.Prefix{}, "has a netmask: write how many bits it is, /24 for 255.255.255.0"
		}
		return netip.Prefix{}, fmt.Sprintf("has no prefix length between 0 and %d behind the slash",
			a.BitLen())
	}
	if a.Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, "is wider than the IPv4-mapped addresses: write the IPv4 prefix"
		}
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked(), ""
}

// guess says what s may have been meant to be.
func guess(s string) string {
	if prefixes := ofRange(s); prefixes != "" {
		return "is a range: write its prefixes, each an entry by itself, " + prefixes
	}
	_, err := netip.ParseAddrPort(s)
	switch {
	case err == nil:
		return "has a port: leave it out, a source is the address alone"
	case strings.ContainsAny(s, " \t,;"):
		return "is more than an address: each is an entry by itself, and a comment begins with #"
	case strings.Trim(s, "0123456789./") == "":
		return "is not an IPv4 address: four numbers from 0 to 255, without leading zeros"
	case strings.Contains(s, ":"):
		return "is not an IPv6 address"
	case strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789-._") == "":
		return "is a name: write its addresses, since whoever runs its zone could change them"
	}
	return "is not an address"
}

// fewPrefixes is the most prefixes of a range in a message; an IPv4 range may have
// 62.
const fewPrefixes = 8

// ofRange returns the prefixes of a range, 192.0.2.1-192.0.2.9, or "".
func ofRange(s string) string {
	r, err := netipx.ParseIPRange(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		return ""
	}
	var list []string
	for _, p := range r.Prefixes() {
		if len(list) == fewPrefixes {
			list = append(list, "...")
			break
		}
		list = append(list, p.String())
	}
	return strings.Join(list, ", ")
}
