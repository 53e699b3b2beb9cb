// SPDX-License-Identifier: MIT

package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"github.com/google/nftables/xt"
	"golang.org/x/sys/unix"

	"picket/internal/modules"
)

// QueueName is the name of the table whose one rule leads to the NFQUEUE. It is a
// table of its own, since a kernel that has no queue refuses all that is asked of
// it in one transaction, and since nft cannot load every form of the rule from
// text: what "picket ruleset" prints must be loadable everywhere.
const QueueName = Name + "_inline"

// ErrForeignQueue means that a table of that name exists that picket did not make.
var ErrForeignQueue = errors.New("table inet " + QueueName + " exists and is not picket's: " +
	"rename it, or remove it with \"nft delete table inet " + QueueName + "\"")

// A QueueKind is the expression by which the kernel queues.
type QueueKind string

// The kinds. A kernel may be built without nf_tables' own and still have that of
// iptables, which nft_compat lends.
const (
	QueueNative QueueKind = "nft_queue"
	QueueCompat QueueKind = "xt_NFQUEUE"
)

// The chain comes behind the user's own, so that what these drop is not judged,
// and before the one that leaves what nobody serves unanswered.
const queuePriority = 249

// Queue has the packets that the rules call for led to an NFQUEUE, and returns by
// what expression the kernel does it. Where nobody reads the queue they pass. It
// replaces what Queue did before, and fails with [ErrForeignQueue] if the table is
// somebody else's. Of a kernel that has neither expression the error names the
// missing modules.
func (t *Table) Queue(number uint16) (QueueKind, error) {
	if _, err := t.Queued(); err != nil {
		return "", err
	}
	err := t.queueBy(&expr.Queue{Num: number, Total: 1, Flag: expr.QueueFlagBypass})
	if err == nil {
		return QueueNative, nil
	}
	if t.queueBy(compatQueue(number)) == nil {
		return QueueCompat, nil
	}
	// The first is the one to ask for.
	return "", fmt.Errorf("install table inet %s: %w", QueueName, modules.Explain(err, modules.Queue()))
}

// compatQueue is the target of iptables, in its revision 3: struct
// xt_NFQ_info_v3 of include/uapi/linux/netfilter/xt_NFQUEUE.h.
func compatQueue(number uint16) expr.Any {
	const bypass = 1 // NFQ_FLAG_BYPASS
	info := make(xt.Unknown, 0, 8)
	for _, n := range []uint16{number, 1, bypass, 0} {
		info = binary.NativeEndian.AppendUint16(info, n)
	}
	return &expr.Target{Name: "NFQUEUE", Rev: 3, Info: &info}
}

// queueBy installs the table anew with a rule that ends in an expression.
func (t *Table) queueBy(queue expr.Any) error {
	table := &nftables.Table{Name: QueueName, Family: nftables.TableFamilyINet}
	t.conn.AddTable(table)
	t.conn.DelTable(table) // which needs it to be there
	t.conn.AddTable(table)
	priority, policy := nftables.ChainPriority(queuePriority), nftables.ChainPolicyAccept
	chain := t.conn.AddChain(&nftables.Chain{
		Name: "inline", Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookInput,
		Priority: &priority, Policy: &policy,
	})
	t.conn.AddRule(&nftables.Rule{
		Table: table, Chain: chain,
		UserData: userdata.AppendString(nil, userdata.TypeComment, markPrefix+"inline"),
		Exprs: []expr.Any{
			&expr.Meta{Key: expr.MetaKeyPRIORITY, Register: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: native(inlineCall)},
			queue,
		},
	})
	return t.conn.Flush()
}

// Unqueue takes the table of the queue out of the kernel. It is no error if there
// is none, and somebody else's stays.
func (t *Table) Unqueue() error {
	there, err := t.Queued()
	if err != nil || !there {
		return err
	}
	t.conn.DelTable(&nftables.Table{Name: QueueName, Family: nftables.TableFamilyINet})
	if err := t.conn.Flush(); err != nil && !errors.Is(err, unix.ENOENT) {
		return explain("remove table inet "+QueueName, err)
	}
	return nil
}

// Queued reports whether the table of the queue is in the kernel. It fails with
// [ErrForeignQueue] if a rule of it does not bear our mark.
func (t *Table) Queued() (there bool, err error) {
	chains, err := t.conn.ListChainsOfTableFamily(nftables.TableFamilyINet)
	if err != nil {
		return false, explain("list chains", err)
	}
	for _, c := range chains {
		if c.Table.Name != QueueName {
			continue
		}
		there = true
		rules, err := t.conn.GetRules(c.Table, c)
		if err != nil {
			return false, explain("list rules of table inet "+QueueName, err)
		}
		if slices.ContainsFunc(rules, func(r *nftables.Rule) bool {
			says, _ := userdata.GetString(r.UserData, userdata.TypeComment)
			return says != markPrefix+"inline"
		}) {
			return false, ErrForeignQueue
		}
	}
	return there, nil
}
