// SPDX-License-Identifier: MIT

package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"picket/nft"
)

// A Duration is written "90s", "10m", "1h30m", "1d", "1w" or "forever".
type Duration time.Duration

// units are those of time.ParseDuration and two longer ones.
var units = [...]struct {
	suffix string
	length time.Duration
}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}}

// ParseDuration reads a positive duration with fewer than 65,536 weeks and fewer
// than 65,536 days.
func ParseDuration(s string) (Duration, error) {
	var total time.Duration
	rest := s
	if s == forever {
		return Forever, nil
	}
	for _, u := range units {
		number, after, found := strings.Cut(rest, u.suffix)
		if !found {
			continue
		}
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return 0, durationFault(s)
		}
		if err != nil || time.Duration(n) > (longest-total)/u.length {
			return 0, tooLong(s)
		}
		total, rest = total+time.Duration(n)*u.length, after
	}
	if rest != "" {
		d, err := time.ParseDuration(rest)
		if err != nil {
			// The unit is right, so the number is the fault.
			if unit := strings.TrimLeft(rest, "0123456789"); unit != rest {
				if _, other := time.ParseDuration("1" + unit); other == nil {
					return 0, tooLong(s)
				}
			}
			return 0, durationFault(s)
		}
		if d > longest-total {
			return 0, tooLong(s)
		}
		total += d
	}
	if total <= 0 {
		if s != "" {
			return 0, fmt.Errorf("%q is no duration: it must be longer than nothing", s)
		}
		return 0, durationFault(s)
	}
	return Duration(total), nil
}

func durationFault(s string) error {
	return fmt.Errorf("%q is no duration: want a number and a unit, \"90s\", \"10m\", \"1h\", \"1d\" or "+
		"\"1w\"", s)
}

// Forever is the longest duration, written "forever". A block in the kernel's
// sets needs an end.
const Forever = Duration(longest)

const forever = "forever"

// longest keeps the end of a block far from the year 2262, the last of a 63-bit
// count of nanoseconds.
const longest = 36500 * 24 * time.Hour

func tooLong(s string) error {
	return fmt.Errorf("%q is too long: want at most 36500d, a hundred years", s)
}

// String writes the duration in the largest units without a fraction: "1d", "1h30m".
func (d Duration) String() string {
	if d == Forever {
		return forever
	}
	var b strings.Builder
	rest := time.Duration(d)
	for _, u := range units {
		if n := rest / u.length; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, u.suffix)
			rest -= n * u.length
		}
	}
	if rest == 0 && b.Len() > 0 {
		return b.String()
	}
	s := rest.String() // "1h0m0s"
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return b.String() + s
}

// MarshalJSON writes the duration as in a configuration.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// Durations are the lengths of first, second and further blocks.
type Durations []time.Duration

// MarshalJSON writes the durations as in a configuration.
func (ds Durations) MarshalJSON() ([]byte, error) {
	texts := make([]Duration, len(ds))
	for i, d := range ds {
		texts[i] = Duration(d)
	}
	return json.Marshal(texts)
}

// Ports are ports, or IP protocol numbers, written "1,11,20-25".
type Ports []nft.Range

// ParsePorts reads a list of numbers from lowest to highest. The error names
// everything that is wrong with it.
func ParsePorts(s string, lowest, highest uint16) (Ports, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	var out Ports
	var wrong []string
	for item := range strings.SplitSeq(s, ",") {
		item = strings.TrimSpace(item)
		first, last, isRange := strings.Cut(item, "-")
		from, ok1 := port(first, lowest, highest)
		to, ok2 := from, true
		if isRange {
			to, ok2 = port(last, lowest, highest)
		}
		switch {
		case item == "":
			wrong = append(wrong, "a comma too many")
		case highest == 65535 && service(item) != 0:
			wrong = append(wrong, fmt.Sprintf("%q is a name: write its port, %d", item, service(item)))
		case !ok1 || !ok2:
			wrong = append(wrong, fmt.Sprintf("%q is not in %d to %d", item, lowest, highest))
		case from > to:
			wrong = append(wrong, fmt.Sprintf("%q ends before it begins", item))
		default:
			out = append(out, nft.Range{From: from, To: to})
		}
	}
	if len(wrong) > 0 {
		return nil, fmt.Errorf("%s: want numbers and ranges, \"1,11,20-25\"", strings.Join(wrong, ", "))
	}
	return Ports(nft.Merge(out)), nil
}

// service returns the port of a service in /etc/services, or 0. The name is not
// accepted in its place: another host may map it to another port.
func service(name string) int {
	for _, protocol := range []string{"tcp", "udp"} {
		if n, err := net.LookupPort(protocol, name); err == nil && strings.Trim(name, "0123456789") != "" {
			return n
		}
	}
	return 0
}

func port(s string, lowest, highest uint16) (uint16, bool) {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 16)
	return uint16(n), err == nil && uint16(n) >= lowest && uint16(n) <= highest
}

// String writes the list for [ParsePorts].
func (p Ports) String() string {
	var b strings.Builder
	for i, r := range p {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(int(r.From)))
		if r.To != r.From {
			fmt.Fprintf(&b, "-%d", r.To)
		}
	}
	return b.String()
}

// MarshalJSON writes the list as in a configuration.
func (p Ports) MarshalJSON() ([]byte, error) { return json.Marshal(p.String()) }

// contains reports whether n is in one of rs.
func contains(rs []nft.Range, n uint16) bool {
	return slices.ContainsFunc(rs, func(r nft.Range) bool { return r.From <= n && n <= r.To })
}

// subtract returns a without b.
func subtract(a, b []nft.Range) (out []nft.Range) {
	b = nft.Merge(b)
	for _, r := range nft.Merge(a) {
		from := int(r.From)
		for _, x := range b {
			if int(x.To) < from || x.From > r.To {
				continue
			}
			if int(x.From) > from {
				out = append(out, nft.Range{From: uint16(from), To: x.From - 1})
			}
			from = int(x.To) + 1
		}
		if from <= int(r.To) {
			out = append(out, nft.Range{From: uint16(from), To: r.To})
		}
	}
	return out
}
