// SPDX-License-Identifier: MIT

package control

import (
	"net/netip"
	"time"
)

// Outcome is what became of one of the sources of "block", "unblock", "allow" or
// "unallow".
type Outcome struct {
	Name    string    `json:"source"`
	Expires time.Time `json:"expires,omitzero"`
	Kept    bool      `json:"kept,omitempty"`  // it was so already, and for longer: that stays
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
