// SPDX-License-Identifier: MIT

package nft

import (
	"fmt"
	"net/netip"

	"picket/nft/internal/elem"
	"picket/nft/internal/fill"
)

// Served asks the kernel for the ports behind this host that answer, or refuse. Make
// one with [OpenServed]. It belongs to one goroutine, other than that of a [Table].
type Served struct{ question *elem.Question }

// OpenServed opens a socket in the calling thread's network namespace. It needs
// CAP_NET_ADMIN.
func OpenServed() (*Served, error) {
	q, err := elem.NewQuestion(Name)
	if err != nil {
		return nil, explain("open nftables", err)
	}
	return &Served{question: q}, nil
}

// Close ends it.
func (s *Served) Close() error { return s.question.Close() }

// Has reports whether a port has answered within the last [LatelyTime].
func (s *Served) Has(protocol uint8, at netip.AddrPort) (bool, error) {
	return s.has("served", protocol, at)
}

// Refuses reports whether the host of a published port has said within the last
// [CountTime] that nobody serves it.
func (s *Served) Refuses(protocol uint8, at netip.AddrPort) (bool, error) {
	return s.has("refused", protocol, at)
}

func (s *Served) has(set string, protocol uint8, at netip.AddrPort) (is bool, err error) {
	if is, err = s.question.Has(set+familyOf(at.Addr()), fill.PortKey(protocol, at)); err != nil {
		return false, fmt.Errorf("ask whether %s is served: %w", at, err)
	}
	return is, nil
}
