// SPDX-License-Identifier: MIT

package route

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// dumps is the number of tries to read a list while it changes
// (NLM_F_DUMP_INTR).
const dumps = 10

// list returns the routes of our table.
func (t *Table) list(family int) ([]netlink.Route, error) {
	var routes []netlink.Route
	err := again(func() (err error) {
		routes, err = t.routes.RouteListFiltered(family, &netlink.Route{Table: t.conf.Table},
			netlink.RT_FILTER_TABLE)
		return err
	})
	// ENOENT: no such table yet, in a strict dump (fib_trie.c, ip6_fib.c).
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return nil, fmt.Errorf("list routes of table %d: %w", t.conf.Table, err)
	}
	return routes, nil
}

// rules returns our rules: of our priority, into our table.
func (t *Table) rules(family int) ([]netlink.Rule, error) {
	var all, ours []netlink.Rule
	err := again(func() (err error) {
		all, err = t.policy.RuleList(family)
		return err
	})
	if errors.Is(err, unix.EAFNOSUPPORT) {
		return nil, nil // a kernel without IPv6
	}
	if err != nil {
		return nil, fmt.Errorf("list routing rules: %w", err)
	}
	for _, r := range all {
		if r.Priority == t.conf.Priority && r.Table == t.conf.Table && r.Protocol == protocol {
			ours = append(ours, r)
		}
	}
	return ours, nil
}

func (t *Table) addRule(family int) error {
	ours, err := t.rules(family)
	if err != nil || len(ours) > 0 {
		return err
	}
	err = t.policy.RuleAdd(t.rule(family))
	if err != nil && !errors.Is(err, unix.EEXIST) && !errors.Is(err, unix.EAFNOSUPPORT) {
		return fmt.Errorf("add routing rule %d for table %d: %w", t.conf.Priority, t.conf.Table, err)
	}
	return nil
}

func (t *Table) deleteRules(family int) error {
	ours, err := t.rules(family)
	for range ours {
		if err := t.policy.RuleDel(t.rule(family)); err != nil {
			return fmt.Errorf("delete routing rule %d: %w", t.conf.Priority, err)
		}
	}
	return err
}

func (t *Table) rule(family int) *netlink.Rule {
	r := netlink.NewRule()
	r.Family, r.Priority, r.Table, r.Protocol = family, t.conf.Priority, t.conf.Table, protocol
	return r
}

func again(dump func() error) error {
	var err error
	for range dumps {
		if err = dump(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return err
		}
	}
	return err
}
