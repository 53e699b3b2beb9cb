// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"errors"
	"fmt"

	"picket/internal/control"
	"picket/internal/inline"
	"picket/internal/journal"
	"picket/internal/machine"
	"picket/internal/task"
	"picket/nft"
)

// An inlineState is the bound queue, or the reason why there is none. The daemon's mutex guards
// it.
//
// The queue has the number of the NFLOG group, which is picket's alone. Its socket is never
// stored by systemd: a bound queue without a reader holds packets, and a queue that nobody has
// bound lets them pass.
type inlineState struct {
	queue machine.Queue
	why   string
	kind  nft.QueueKind // the expression that queues; "" if no packet is led there
}

// leftover is the kind until it is known what an earlier run has left.
const leftover nft.QueueKind = "unknown"

// bindInline binds the queue if it is wanted and not bound. Without a queue everything else works.
func (d *daemon) bindInline() {
	d.inline.why = ""
	if !d.config.Inlined() || d.inline.queue != nil {
		return
	}
	q, err := d.machine.OpenQueue(d.config.NFLOG.Group, d.docket.visit, d.fail)
	if err != nil {
		d.noInline(err)
		return
	}
	d.inline.queue = q
}

// leadInline calls lead with the number of the queue, or with 0 to give up a queue that is not
// wanted, in an order that drops no packet. Lead leads packets to a queue, or to none for 0.
// The result says whether the sets are to be filled again, as nothing leads there.
func (d *daemon) leadInline(lead func(number uint16) (nft.QueueKind, error)) (refill bool) {
	var err error
	switch s, on := &d.inline, d.inline.queue != nil && d.config.Inlined(); {
	case !on && s.kind != "":
		s.kind = ""
		if _, err := lead(0); err != nil && !errors.Is(err, nft.ErrForeignQueue) &&
			!errors.Is(err, task.ErrStopping) {
			d.journal.Notice("", "%v", err)
		}
		d.closeInline()
	case on && (s.kind == "" || s.kind == leftover):
		if s.kind, err = lead(d.config.NFLOG.Group); err != nil {
			d.noInline(err)
			return true
		}
		d.journal.Notice("", "the inline verdict is on: a SYN in doubt waits in NFQUEUE %d, by %s, "+
			"for %d ms at most", d.config.NFLOG.Group, s.kind, inline.Age.Milliseconds())
	}
	return false
}

// noInline gives up the inline verdict, and says why.
func (d *daemon) noInline(err error) {
	d.closeInline()
	d.inline.why = err.Error()
	d.journal.Notice("", "the inline verdict is off, and every SYN to a service passes at once: %v", err)
}

func (d *daemon) closeInline() {
	if d.inline.queue != nil {
		d.inline.queue.Close()
		d.inline.queue = nil
	}
}

// reportInline returns the state of the inline verdict, nil if it is not wanted.
func (d *daemon) reportInline() *control.Inline {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inline.queue == nil {
		if d.inline.why == "" {
			return nil
		}
		return &control.Inline{Off: d.inline.why}
	}
	s := d.inline.queue.Stats()
	return &control.Inline{
		Queue: d.config.NFLOG.Group, By: string(d.inline.kind),
		Held: s.Held, Let: s.Let, Refused: s.Refused, Aged: s.Aged, Errors: s.Errors,
	}
}

// pushInline is leadInline for a reload.
func (d *daemon) pushInline(ctx context.Context) error {
	if !d.leadInline(func(n uint16) (nft.QueueKind, error) { return d.orders.lead(ctx, n) }) {
		return nil
	}
	return d.orders.refill(ctx, d.elements())
}

// lead leads packets to an NFQUEUE, or with 0 to none any more.
func (b *blocker) lead(number uint16) (kind nft.QueueKind, err error) {
	b.queued = 0
	if number == 0 {
		return "", b.table.Unqueue()
	}
	if kind, err = b.table.Queue(number); err == nil {
		b.queued = number
	}
	return kind, err
}

// requeue leads packets to the queue again if somebody has removed the rule.
func (b *blocker) requeue(by string) error {
	if b.queued == 0 {
		return nil
	}
	there, err := b.table.Queued()
	if err != nil || there {
		return err
	}
	if _, err := b.table.Queue(b.queued); err != nil {
		return fmt.Errorf("the inline verdict is off: %w", err)
	}
	b.journal.Notice(journal.Restored, "table inet %s was changed or removed by %s: it is back",
		nft.QueueName, by)
	return nil
}
