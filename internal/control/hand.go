// SPDX-License-Identifier: MIT

package control

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"picket/internal/addresses"
	"picket/internal/event"
)

// Outcome is the result for one source of "block", "unblock", "allow" or "unallow".
type Outcome struct {
	Name    string    `json:"source"`
	Expires time.Time `json:"expires,omitzero"`
	Kept    bool      `json:"kept,omitempty"`  // it was so already, for longer: that stays
	Error   string    `json:"error,omitempty"` // why nothing was done
}

// Fail notes why nothing was done; nil changes nothing.
func (o *Outcome) Fail(err error) {
	if err != nil {
		o.Error = err.Error()
	}
}

// Allowed is one line of the answer to "allowed": a friend by command.
type Allowed struct {
	Source    netip.Prefix `json:"-"`
	Name      string       `json:"source"`
	Since     time.Time    `json:"since"`
	Expires   time.Time    `json:"expires,omitzero"` // zero: never
	Remaining int64        `json:"remaining_s,omitempty"`
	Reason    string       `json:"reason"`
}

// Each calls do once for each source of a request, and returns the outcomes.
func (r Request) Each(do func(netip.Prefix, *Outcome) error) (out []*Outcome) {
	names := r.Sources
	if r.Source != "" {
		names = append(names, r.Source)
	}
	seen := map[netip.Prefix]bool{}
	for _, name := range names {
		p, why := addresses.Source(name)
		o, err := &Outcome{Name: name}, fmt.Errorf("%q is no address or prefix", name)
		if seen[p] {
			continue
		}
		if why == "" {
			seen[p], o.Name = true, event.SourceName(p)
			err = do(p, o)
		}
		o.Fail(err)
		out = append(out, o)
	}
	return out
}

// Single is the answer with outcomes. A single source that failed is an error.
func Single(out []*Outcome) ([]*Outcome, error) {
	if len(out) == 1 && out[0].Error != "" {
		return nil, errors.New(out[0].Error)
	}
	return out, nil
}

// secondsLeft is the time left, in seconds, rounded up.
func secondsLeft(until, now time.Time) int64 {
	return int64(max(0, until.Sub(now)+time.Second-1) / time.Second)
}

// At returns the line with the time left at now.
func (a Allowed) At(now time.Time) Allowed {
	if !a.Expires.IsZero() {
		a.Remaining = secondsLeft(a.Expires, now)
	}
	return a
}
