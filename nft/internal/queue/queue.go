// SPDX-License-Identifier: MIT

// Package queue has the table whose one rule leads packets to an NFQUEUE. The table is
// separate because a kernel without queues refuses the whole transaction.
package queue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"github.com/google/nftables/xt"
	"golang.org/x/sys/unix"

	"picket/internal/modules"
)

// A Table is the table of that name. Packets for the queue bear Call as their priority;
// the comment Mark shows that the rule is ours.
type Table struct {
	Name string
	Mark string
	Call uint32
}

// ErrForeign means that a table of that name has a rule without our mark.
var ErrForeign = errors.New("the table is somebody else's")

// A Kind is the kernel's expression that queues.
type Kind string

// The kinds. A kernel without nf_tables' own may still have that of iptables, by way of
// nft_compat.
const (
	Native Kind = "nft_queue"
	Compat Kind = "xt_NFQUEUE"
)

// The chain comes after the user's own, so packets that these drop are not judged, and
// before the one that leaves unserved ports unanswered.
const chainPriority = 249

// Install makes the table anew, with a rule that leads to the queue of a number and
// lets packets pass if nobody reads it. On a kernel with neither expression the error
// names the missing modules.
func (t *Table) Install(conn *nftables.Conn, number uint16) (Kind, error) {
	err := t.install(conn, &expr.Queue{Num: number, Total: 1, Flag: expr.QueueFlagBypass})
	if err == nil {
		return Native, nil
	}
	if t.install(conn, compat(number)) == nil {
		return Compat, nil
	}
	// The error names the modules of the first kind.
	return "", fmt.Errorf("install table inet %s: %w", t.Name, modules.Explain(err, modules.Queue()))
}

// compat is the target of iptables, in its revision 3: struct
// xt_NFQ_info_v3 of include/uapi/linux/netfilter/xt_NFQUEUE.h.
func compat(number uint16) expr.Any {
	const bypass = 1 // NFQ_FLAG_BYPASS
	info := make(xt.Unknown, 0, 8)
	for _, n := range []uint16{number, 1, bypass, 0} {
		info = binary.NativeEndian.AppendUint16(info, n)
	}
	return &expr.Target{Name: "NFQUEUE", Rev: 3, Info: &info}
}

// install makes the table anew, with a rule that ends in an expression.
func (t *Table) install(conn *nftables.Conn, queue expr.Any) error {
	table := &nftables.Table{Name: t.Name, Family: nftables.TableFamilyINet}
	conn.AddTable(table)
	conn.DelTable(table) // it must be there to be deleted
	conn.AddTable(table)
	priority, policy := nftables.ChainPriority(chainPriority), nftables.ChainPolicyAccept
	chain := conn.AddChain(&nftables.Chain{
		Name: "inline", Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookInput,
		Priority: &priority, Policy: &policy,
	})
	conn.AddRule(&nftables.Rule{
		Table: table, Chain: chain,
		UserData: userdata.AppendString(nil, userdata.TypeComment, t.Mark),
		Exprs: []expr.Any{
			&expr.Meta{Key: expr.MetaKeyPRIORITY, Register: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(t.Call)},
			queue,
		},
	})
	return conn.Flush()
}

// Remove takes the table out of the kernel. It is no error if it has gone meanwhile.
func (t *Table) Remove(conn *nftables.Conn) error {
	conn.DelTable(&nftables.Table{Name: t.Name, Family: nftables.TableFamilyINet})
	if err := conn.Flush(); !errors.Is(err, unix.ENOENT) {
		return err
	}
	return nil
}

// There reports whether the table is in the kernel. It fails with [ErrForeign] if a
// rule of it does not bear our mark.
func (t *Table) There(conn *nftables.Conn) (there bool, err error) {
	chains, err := conn.ListChainsOfTableFamily(nftables.TableFamilyINet)
	if err != nil {
		return false, err
	}
	for _, c := range chains {
		if c.Table.Name != t.Name {
			continue
		}
		there = true
		rules, err := conn.GetRules(c.Table, c)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(rules, func(r *nftables.Rule) bool {
			says, _ := userdata.GetString(r.UserData, userdata.TypeComment)
			return says != t.Mark
		}) {
			return false, ErrForeign
		}
	}
	return there, nil
}
