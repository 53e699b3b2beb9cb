// SPDX-License-Identifier: MIT

package config

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Evidence is section [evidence]: the memory for probes.
type Evidence struct {
	Memory Size `json:"memory"`
}

// A Size is a number of bytes, written "64k", "8M" or "1G".
type Size int64

var sizes = [...]struct {
	suffix string
	bytes  Size
}{{"G", 1 << 30}, {"M", 1 << 20}, {"k", 1 << 10}}

// ParseSize reads a size. 0 needs no unit.
func ParseSize(s string) (Size, error) {
	if s == "0" {
		return 0, nil
	}
	for _, u := range sizes {
		if number, ok := strings.CutSuffix(s, u.suffix); ok {
			if n, err := strconv.ParseUint(number, 10, 16); err == nil {
				return Size(n) * u.bytes, nil
			}
		}
	}
	return 0, fmt.Errorf("%q is no size: want a whole number and a unit, \"64k\", \"8M\" or \"1G\"", s)
}

// String writes the size in the largest unit without a fraction.
func (z Size) String() string {
	for _, u := range sizes {
		if z > 0 && z%u.bytes == 0 {
			return strconv.FormatInt(int64(z/u.bytes), 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(z), 10)
}

// MarshalJSON writes the size as in a configuration.
func (z Size) MarshalJSON() ([]byte, error) { return json.Marshal(z.String()) }

// Bounds of a size: less holds only a few sources, more is a slip of the pen.
const (
	minEvidence = 1 << 20
	maxEvidence = 1 << 30
)

func (e *Evidence) read(s *section) {
	s.size("memory", &e.Memory, true, minEvidence, maxEvidence)
	s.end()
}

// size reads a size within bounds, or 0 if that is allowed.
func (s *section) size(key string, to *Size, none bool, least, most Size) {
	text, ok := get[string](s, key, `a size in quotes, "8M"`)
	if !ok {
		return
	}
	want := fmt.Sprintf("%s to %s", least, most)
	if none {
		want = "0, or " + want
	}
	switch size, err := ParseSize(text); {
	case err != nil:
		s.fault(key, err.Error())
	case (size != 0 || !none) && (size < least || size > most):
		s.fault(key, fmt.Sprintf("is %q: want %s", text, want))
	default:
		*to = size
	}
}
