// SPDX-License-Identifier: MIT

// Package route keeps routes to nowhere for blocked sources: the successor of
// PortSentry's "route add -host $TARGET$ reject".
//
// The routes stand in a routing table of our own, and one rule for each family
// puts that table before main. Of others' tables, routes and rules only the number
// is read, and none is changed; [Table.Clear] leaves things as they were.
//
// Such a route stops our answers, not the packets of the source: they still
// arrive, but without an answer no connection completes. IPv4 with reverse path
// filtering (rp_filter 1 or 2) drops the packets too, as there is no way back;
// IPv6 has no such filter. Against a datagram without an answer only the set
// helps. An answering service gets an error from the kernel ([Unreachable]: no
// route to host; [Blackhole]: invalid argument; [Prohibit]: permission denied).
//
// It refuses a table with somebody else's routes, and a rule behind main's. It
// needs CAP_NET_ADMIN in the network namespace of the thread that calls [Open].
// systemd-networkd removes foreign rules unless
// ManageForeignRoutingPolicyRules=no; [Table.Sync] puts ours back.
package route

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A Type is the fate of our packet. The zero Type is [None].
type Type uint8

// The types of ip-route(8).
const (
	None        Type = iota // no routes; a [Table] takes it for Unreachable
	Unreachable             // the sender here gets "no route to host"
	Blackhole               // discarded in silence
	Prohibit                // the sender here gets "permission denied"
)

// String returns the type as configuration and ip-route(8) spell it.
func (t Type) String() string {
	switch t {
	case None:
		return ""
	case Unreachable:
		return "unreachable"
	case Blackhole:
		return "blackhole"
	case Prohibit:
		return "prohibit"
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// MarshalText implements encoding.TextMarshaler.
func (t Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

func (t Type) kernel() int {
	return [...]int{
		None: unix.RTN_UNSPEC, Unreachable: unix.RTN_UNREACHABLE, Blackhole: unix.RTN_BLACKHOLE,
		Prohibit: unix.RTN_PROHIBIT,
	}[t]
}

// Defaults and bounds of a [Config].
const (
	DefaultTable    = 7112
	DefaultPriority = 500 // behind local (0), before the rule of VRFs (1000) and main (32766)
	mainPriority    = 32766
)

// protocol marks our routes, as RTPROT_* marks other daemons'; no daemon in
// iproute2's rt_protos has this number.
const protocol = 112

// Config places the routes. A zero field has its default.
type Config struct {
	Type     Type
	Table    int // number of the routing table; [DefaultTable]
	Priority int // of the rules; [DefaultPriority]
}

// Check returns the fault of the configuration, or nil.
func (c Config) Check() error {
	c = c.withDefaults()
	switch {
	case c.Type > Prohibit:
		return fmt.Errorf("route %v: there is no such type", c.Type)
	case c.Table < 1 || c.Table > 1<<31-1 ||
		c.Table >= unix.RT_TABLE_DEFAULT && c.Table <= unix.RT_TABLE_LOCAL:
		return fmt.Errorf("route table %d: a number from 1, other than 253 to 255, which are the system's",
			c.Table)
	case c.Priority < 1 || c.Priority >= mainPriority:
		return fmt.Errorf("route priority %d: from 1 to %d, or main would be asked first", c.Priority,
			mainPriority-1)
	}
	return nil
}

func (c Config) withDefaults() Config {
	return Config{cmp.Or(c.Type, Unreachable), cmp.Or(c.Table, DefaultTable),
		cmp.Or(c.Priority, DefaultPriority)}
}

// A Table is our routing table in one network namespace. Its methods may be
// called by several goroutines.
type Table struct {
	conf   Config
	routes *netlink.Handle
	policy *netlink.Handle // for rules: a strict kernel refuses the library's RTM_GETRULE
}

// families are both, IPv4 first; only IPv4 if the kernel has no IPv6.
func families() []int { return []int{unix.AF_INET, unix.AF_INET6} }

// Open opens netlink sockets in the network namespace of the calling thread, and
// makes sure that the table is ours alone. It changes nothing: [Table.Sync]
// installs rules and routes.
func Open(c Config) (*Table, error) {
	c = c.withDefaults()
	if err := c.Check(); err != nil {
		return nil, err
	}
	t := &Table{conf: c}
	if err := t.open(); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

func (t *Table) open() (err error) {
	if t.routes, err = netlink.NewHandle(unix.NETLINK_ROUTE); err == nil {
		t.policy, err = netlink.NewHandle(unix.NETLINK_ROUTE)
	}
	if err == nil {
		err = t.routes.SetStrictCheck(true) // the kernel dumps our table alone (since 4.20)
	}
	if err != nil {
		return fmt.Errorf("open rtnetlink: %w", err)
	}
	for _, family := range families() {
		routes, err := t.list(family)
		if err != nil {
			return err
		}
		for _, r := range routes {
			if r.Protocol != protocol {
				return fmt.Errorf("route table %d: holds %v, which is not picket's; choose another "+
					"route.table", t.conf.Table, r.Dst)
			}
		}
	}
	return nil
}

// Close closes the sockets and leaves rules and routes in place.
func (t *Table) Close() {
	for _, h := range []*netlink.Handle{t.routes, t.policy} {
		if h != nil {
			h.Close()
		}
	}
}

// Sync installs missing rules and makes the table hold exactly these
// destinations, without the remains of an earlier run or of others.
func (t *Table) Sync(all []netip.Prefix) error {
	want := make(map[netip.Prefix]bool, len(all))
	for _, p := range all {
		want[p.Masked()] = true
	}
	for _, family := range families() {
		if err := t.addRule(family); err != nil {
			return err
		}
		routes, err := t.list(family)
		if err != nil {
			return err
		}
		for i := range routes {
			p := prefix(routes[i].Dst)
			if want[p] && routes[i].Type == t.conf.Type.kernel() {
				delete(want, p)
			} else if err := t.routes.RouteDel(&routes[i]); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("delete route %v: %w", p, err)
			}
		}
	}
	missing := make([]netip.Prefix, 0, len(want))
	for p := range want {
		missing = append(missing, p)
	}
	return t.Add(missing...)
}

// Add adds routes. An existing one is no error. After an error it goes on with the
// rest and returns the first.
func (t *Table) Add(list ...netip.Prefix) error {
	return each("add", list, func(p netip.Prefix) error {
		if err := t.routes.RouteAdd(t.route(p)); !errors.Is(err, unix.EEXIST) {
			return err
		}
		return nil
	})
}

// Remove removes routes, likewise. A missing one is no error.
func (t *Table) Remove(list ...netip.Prefix) error {
	return each("delete", list, func(p netip.Prefix) error {
		if err := t.routes.RouteDel(t.route(p)); !errors.Is(err, unix.ESRCH) {
			return err
		}
		return nil
	})
}

func each(verb string, list []netip.Prefix, do func(netip.Prefix) error) error {
	var first error
	failed := 0
	for _, p := range list {
		if err := do(p.Masked()); err != nil {
			failed++
			if first == nil {
				first = fmt.Errorf("%s route %v: %w", verb, p, err)
			}
		}
	}
	if failed > 1 {
		return fmt.Errorf("%w (and %d more)", first, failed-1)
	}
	return first
}

// List returns the destinations in the table.
func (t *Table) List() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, family := range families() {
		routes, err := t.list(family)
		if err != nil {
			return nil, err
		}
		for _, r := range routes {
			out = append(out, prefix(r.Dst))
		}
	}
	return out, nil
}

// Clear removes our routes and our rules, and nothing else.
func (t *Table) Clear() error {
	var errs []error
	for _, family := range families() {
		routes, err := t.list(family)
		errs = append(errs, err)
		for i := range routes {
			if routes[i].Protocol != protocol {
				continue
			}
			if err := t.routes.RouteDel(&routes[i]); err != nil && !errors.Is(err, unix.ESRCH) {
				errs = append(errs, fmt.Errorf("delete route %v: %w", routes[i].Dst, err))
				break // the next would fail too
			}
		}
		errs = append(errs, t.deleteRules(family))
	}
	return errors.Join(errs...)
}

func (t *Table) route(p netip.Prefix) *netlink.Route {
	a := p.Addr().Unmap()
	return &netlink.Route{
		Dst:   &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(p.Bits(), a.BitLen())},
		Table: t.conf.Table, Type: t.conf.Type.kernel(), Protocol: protocol,
	}
}

func prefix(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}
	a, _ := netip.AddrFromSlice(n.IP)
	bits, size := n.Mask.Size()
	if size == 32 {
		a = a.Unmap()
	}
	return netip.PrefixFrom(a, bits)
}
