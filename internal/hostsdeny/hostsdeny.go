// SPDX-License-Identifier: MIT

// Package hostsdeny keeps blocked sources in hosts.deny, the file of TCP
// wrappers (hosts_access(5)) and of PortSentry's KILL_HOSTS_DENY.
//
// picket's lines stand in one marked section at the end of the file. The rest of
// the file stays untouched. With the last line the section goes, and the file is
// byte for byte what it was: a note in the marker tells of an added newline,
// taken away again, and of a file of picket's making, removed again. Mode, owner
// and extended attributes stay. The new content is written beside the file and
// renamed over it, so no reader ever sees half of it; if somebody else saves the
// file meanwhile, their text is read again first.
//
// It follows a symbolic link and replaces its target. It refuses anything but a
// regular file, a file without write permission (for root too: the mode is the
// owner's will), one larger than [MaxSize], and a section with a missing or
// doubled marker: whose lines are whose is then unknown.
//
// It needs write permission for the file's directory. Each call rewrites the file,
// so gather changes: 10,000 lines in one call cost about as much as one.
package hostsdeny

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// The two formats of PortSentry's configuration. The second is for a libwrap with
// PROCESS_OPTIONS (hosts_options(5)), as all current ones are.
const (
	FormatPlain  = "ALL: $TARGET$"
	FormatOption = "ALL: $TARGET$ : DENY"
)

// MaxSize is the largest hosts.deny, in bytes.
const MaxSize = 64 << 20

// maxFormat keeps a line, IPv6 prefix included, within the 2,048 bytes of
// libwrap's buffer (BUFLEN in its tcpd.h).
const maxFormat = 1900

// A File is one hosts.deny. Its methods may be called by several goroutines; the
// caller keeps other processes with a File on the same path away.
type File struct {
	path   string
	format string

	mu sync.Mutex
}

// New returns the file at a path, with lines of a format: [FormatPlain],
// [FormatOption] or any other single line of hosts_access(5) with $TARGET$ in
// it. It does not open the file.
func New(path, format string) (*File, error) {
	if err := CheckFormat(format); err != nil {
		return nil, err
	}
	return &File{path: path, format: format}, nil
}

// CheckFormat returns the fault of a format, or nil.
func CheckFormat(format string) error {
	switch {
	case !strings.Contains(format, "$TARGET$"):
		return fmt.Errorf("hosts.deny line %q: there must be a $TARGET$ in it, where the address goes",
			format)
	case len(format) > maxFormat:
		return fmt.Errorf("hosts.deny line %.40q...: longer than %d bytes, which libwrap would cut", format,
			maxFormat)
	case strings.ContainsFunc(format, unicode.IsControl):
		return fmt.Errorf("hosts.deny line %q: control characters; it must be one line", format)
	case strings.HasSuffix(format, `\`):
		return fmt.Errorf("hosts.deny line %q: a backslash at its end would join the next line to it", format)
	case strings.HasPrefix(format, "#"), !strings.Contains(format, ":"):
		return fmt.Errorf("hosts.deny line %q: not a rule; %q is one", format, FormatPlain)
	}
	return nil
}

// Line returns the line of a source, without its newline. IPv6 addresses have
// brackets and IPv4 prefixes a netmask, as in hosts_access(5).
func (f *File) Line(p netip.Prefix) string {
	return strings.ReplaceAll(f.format, "$TARGET$", pattern(p))
}

// pattern writes a client pattern of hosts_access(5).
func pattern(p netip.Prefix) string {
	a := p.Addr().Unmap()
	switch {
	case a.Is4() && p.IsSingleIP():
		return a.String()
	case a.Is4():
		return a.String() + "/" + net.IP(net.CIDRMask(p.Bits(), 32)).String()
	case p.IsSingleIP():
		return "[" + a.String() + "]"
	}
	return fmt.Sprintf("[%s]/%d", a, p.Bits())
}

// Update adds sources, then removes sources. It adds none twice, and a missing
// one is no error. Without a change the file is not written.
func (f *File) Update(add, remove []netip.Prefix) error {
	return f.edit(func(lines []string) []string {
		have := make(map[string]bool, len(lines)+len(add))
		for _, l := range lines {
			have[l] = true
		}
		for _, p := range add {
			if l := f.Line(p.Masked()); !have[l] {
				have[l] = true
				lines = append(lines, l)
			}
		}
		gone := make(map[string]bool, len(remove))
		for _, p := range remove {
			gone[f.Line(p.Masked())] = true
		}
		return slices.DeleteFunc(lines, func(l string) bool { return gone[l] })
	})
}

// Replace makes the section hold exactly these sources, in their order: at the
// start the section may be of an earlier run or of another format.
func (f *File) Replace(all []netip.Prefix) error {
	return f.edit(func([]string) []string {
		seen := make(map[string]bool, len(all))
		lines := make([]string, 0, len(all))
		for _, p := range all {
			if l := f.Line(p.Masked()); !seen[l] {
				seen[l] = true
				lines = append(lines, l)
			}
		}
		return lines
	})
}

// Clear removes the section.
func (f *File) Clear() error { return f.Replace(nil) }

// attempts is the number of tries while somebody else saves the file.
const attempts = 5

func (f *File) edit(change func([]string) []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range attempts {
		switch err := f.try(change); {
		case errors.Is(err, errChanged):
		case err != nil:
			return fmt.Errorf("edit %s: %w", f.path, err)
		default:
			return nil
		}
	}
	return fmt.Errorf("edit %s: somebody else wrote to it during each of %d attempts", f.path, attempts)
}

func (f *File) try(change func([]string) []string) error {
	d, err := load(f.path)
	if err != nil {
		return err
	}
	s, err := split(d.text)
	if err != nil {
		return err
	}
	s.made = s.made || d.missing()
	s.lines = change(s.lines)
	text, keep := s.join()
	switch {
	case !keep && d.missing():
		return nil
	case keep && bytes.Equal(text, d.text):
		return nil
	case !keep:
		return d.remove()
	}
	return d.save(text)
}
