// SPDX-License-Identifier: MIT

package nft

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"

	"picket/internal/modules"
	"picket/nft/internal/elem"
)

// Errors that a caller may want to tell apart.
var (
	// ErrForeign means that a table of our name exists that picket did not make.
	ErrForeign = errors.New("table inet " + Name + " exists and is not picket's: rename it, or remove it " +
		"with \"nft delete table inet " + Name + "\"")
	// ErrPermission means that CAP_NET_ADMIN is missing.
	ErrPermission = modules.ErrPermission
	// ErrFull means that the set has as many elements as its size allows.
	ErrFull = errors.New("the blocked set is full")
	// ErrExtent means that a source is too wide to be fenced, or not wide enough.
	ErrExtent = errors.New("only an address, or the prefix that is one IPv6 source, can be fenced")
	// ErrOverlap means that a prefix to be blocked overlaps a blocked one.
	ErrOverlap = errors.New("overlaps a blocked prefix: unblock that one first")
)

// A Table is a connection to the kernel for our table. Make one with [Open].
// It belongs to one goroutine.
type Table struct {
	cfg   Config
	conn  *nftables.Conn
	table *nftables.Table
	sets  map[string]*nftables.Set

	question *elem.Question
	triggers []uint32       // in use
	listed   []netip.Prefix // the contents of the sets of lists,
	loaded   bool           // if they are known
}

// Open connects to nftables in the calling thread's network namespace. It
// changes nothing.
func Open(c Config) (*Table, error) {
	conn, err := nftables.New(nftables.AsLasting())
	if err != nil {
		return nil, explain("open nftables", err)
	}
	table := &nftables.Table{Name: Name, Family: nftables.TableFamilyINet}
	t := &Table{cfg: c, conn: conn, table: table, sets: map[string]*nftables.Set{}}
	for _, s := range sets() {
		t.sets[s.name] = s.netlink(t.table)
	}
	if t.question, err = elem.NewQuestion(Name); err != nil {
		return nil, errors.Join(explain("open nftables", err), conn.CloseLasting())
	}
	return t, nil
}

// Close ends the connection and leaves the table as it is.
func (t *Table) Close() error {
	return errors.Join(t.conn.CloseLasting(), t.question.Close())
}

// State is what Inspect found.
type State int

// The states of the table in the kernel.
const (
	Absent   State = iota // no table of our name
	Ours                  // ours, but not with the rules of this version and configuration
	Complete              // ours, with just these rules
	Foreign               // somebody else's
)

// Inspect compares the table in the kernel with ours.
func (t *Table) Inspect() (State, error) {
	tables, err := t.conn.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return Absent, explain("list tables", err)
	}
	if !slices.ContainsFunc(tables, func(x *nftables.Table) bool { return x.Name == Name }) {
		return Absent, nil
	}
	kernelChains, err := t.conn.ListChainsOfTableFamily(nftables.TableFamilyINet)
	if err != nil {
		return Absent, explain("list chains", err)
	}
	have, marked := map[string]int{}, ""
	rules := 0
	for _, ch := range kernelChains {
		if ch.Table.Name != Name {
			continue
		}
		rs, err := t.conn.GetRules(t.table, ch)
		if err != nil {
			return Absent, explain("list rules of chain "+ch.Name, err)
		}
		have[ch.Name] = len(rs)
		rules += len(rs)
		for _, r := range rs {
			c, ok := userdata.GetString(r.UserData, userdata.TypeComment)
			if ok && strings.HasPrefix(c, markPrefix) {
				marked = c
			}
		}
	}
	complete := marked == mark(t.cfg)
	for _, ch := range chains(t.cfg) {
		n, ok := have[ch.name]
		complete = complete && ok && n == len(ch.rules)
		delete(have, ch.name)
	}
	switch {
	case complete && len(have) == 0:
		return Complete, nil
	case marked == "" && (rules > 0 || len(have) > 0):
		return Foreign, nil
	}
	return Ours, nil
}

// Install puts the table into the kernel, in one transaction, with e in its sets;
// blocked and held sources of an earlier run stay. A complete table (from an include,
// say) is adopted: only its sets are filled. It fails with [ErrForeign] if the table
// is somebody else's.
func (t *Table) Install(e *Elements) (adopted bool, err error) {
	state, err := t.Inspect()
	switch {
	case err != nil:
		return false, err
	case state == Foreign:
		return false, ErrForeign
	case state != Complete:
		t.queueRules()
	}
	t.loaded = false // it may be another table
	return state == Complete, t.fill("install table inet "+Name, e)
}

// Fill replaces the contents of the sets that e fills.
func (t *Table) Fill(e *Elements) error { return t.fill("fill the sets of table inet "+Name, e) }

func (t *Table) fill(what string, e *Elements) error {
	if err := errors.Join(t.queueElements(e), t.queueListed(e.Listed)); err != nil {
		return err
	}
	if err := t.conn.Flush(); err != nil {
		t.loaded = false
		return explain(what, err)
	}
	t.listed, t.loaded, t.triggers = e.Listed, true, e.triggers()
	return nil
}

func (t *Table) queueRules() {
	t.conn.AddTable(t.table)
	for _, s := range sets() {
		// An error here is the library's, and Flush returns it.
		_ = t.conn.AddSet(t.sets[s.name], nil)
	}
	for _, name := range counters(t.cfg) {
		t.conn.AddObj(&nftables.NamedObj{
			Table: t.table, Name: name, Type: nftables.ObjTypeCounter, Obj: &expr.Counter{},
		})
	}
	cs := chains(t.cfg)
	added := make([]*nftables.Chain, len(cs))
	accept := nftables.ChainPolicyAccept
	for i, ch := range cs {
		c := &nftables.Chain{Name: ch.name, Table: t.table}
		if ch.hook != nil {
			priority := ch.priority
			c.Type, c.Hooknum, c.Priority, c.Policy = ch.kind, ch.hook, &priority, &accept
		}
		added[i] = t.conn.AddChain(c)
		t.conn.FlushChain(c)
	}
	for i, ch := range cs {
		for j, r := range ch.rules {
			if r.set != nil {
				t.addAnonymous(r.set)
			}
			rule := &nftables.Rule{Table: t.table, Chain: added[i], Exprs: r.exprs}
			if isMarkRule(ch, j) {
				rule.UserData = userdata.AppendString(nil, userdata.TypeComment, mark(t.cfg))
			}
			t.conn.AddRule(rule)
		}
	}
}

func (t *Table) addAnonymous(a *anonymousSet) {
	s := &nftables.Set{Table: t.table, Anonymous: true, Constant: true, KeyType: a.key}
	els := make([]nftables.SetElement, len(a.elements))
	for i, k := range a.elements {
		els[i].Key = k
	}
	_ = t.conn.AddSet(s, els) // Flush returns its error
	a.lookup.SetName, a.lookup.SetID = s.Name, s.ID
}

func (t *Table) queueElements(e *Elements) error {
	for _, s := range sets() {
		els, ok := e.elements(s.name)
		if !ok {
			continue
		}
		t.conn.FlushSet(t.sets[s.name])
		if len(els) == 0 {
			continue
		}
		if err := t.conn.SetAddElements(t.sets[s.name], els); err != nil {
			return fmt.Errorf("set %s: %w", s.name, err)
		}
	}
	return nil
}

// Verify reports whether the table is still complete.
func (t *Table) Verify() (bool, error) {
	state, err := t.Inspect()
	return state == Complete, err
}

// Filled reports whether the sets are as Install or Fill left them. It looks for
// ignored addresses: loopback is always one. A table made anew by an include is
// complete and not filled.
func (t *Table) Filled() (bool, error) {
	els, err := t.conn.GetSetElements(t.sets["ignored4"])
	return len(els) > 0, explain("read set ignored4", err)
}

// Quiet empties the sets that act without the daemon: the triggers, since nobody is
// left to judge a held source, the door, the inline verdict, and the trap's port,
// unless somebody else keeps its listener open. Blocks stay.
func (t *Table) Quiet(keepTrap bool) error {
	names := []string{"trigger_tcp", "trigger_udp", "trigger_ip", "guarded_tcp", "guarded_udp", "door_tcp",
		"inline", "held4", "held6", "quiet4", "quiet6", "quiet_links6", "behind4", "behind6", "published",
		"egress", "trigger_behind_tcp", "trigger_behind_udp", "inviting"}
	if !keepTrap {
		names = append(names, "trap_port", "trap_listener")
	}
	for _, name := range names {
		t.conn.FlushSet(t.sets[name])
	}
	return explain("quiet table inet "+Name, t.conn.Flush())
}

// Counters returns the rules' counters, by their names in the ruleset: packets dropped
// (kept_...), times a set was full (full_...), packets too many to be mirrored
// (unlogged_...), and connections led to the trap from other ports (invited) or above
// the limits of that (uninvited).
func (t *Table) Counters() (map[string]uint64, error) {
	objects, err := t.conn.GetNamedObjects(t.table)
	if err != nil {
		return nil, explain("read the counters", err)
	}
	out := make(map[string]uint64, len(objects))
	for _, o := range objects {
		if n, ok := o.(*nftables.NamedObj); ok {
			if c, ok := n.Obj.(*expr.Counter); ok {
				out[n.Name] = c.Packets
			}
		}
	}
	return out, nil
}

// Remove removes the table from the kernel, with its blocks, and the table of the
// queue. It is no error if there is none; it fails with [ErrForeign] if it is somebody
// else's.
func (t *Table) Remove() (removed bool, err error) {
	if err := t.Unqueue(); err != nil && !errors.Is(err, ErrForeignQueue) {
		return false, err
	}
	state, err := t.Inspect()
	switch {
	case err != nil || state == Absent:
		return false, err
	case state == Foreign:
		return false, ErrForeign
	}
	t.conn.DelTable(t.table)
	return true, explain("remove table inet "+Name, t.conn.Flush())
}

// explain turns a kernel's error into one that helps; nil stays nil.
func explain(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%s: %w", op, ErrPermission)
	case errors.Is(err, unix.ENFILE):
		return fmt.Errorf("%s: %w", op, ErrFull)
	}
	return fmt.Errorf("%s: %w", op, modules.Explain(err, modules.Rules()))
}
