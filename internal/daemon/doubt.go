// SPDX-License-Identifier: MIT

package daemon

import (
	"net/netip"
	"slices"
	"time"

	"picket/engine"
	"picket/internal/ledger"
	"picket/nft"
)

// doubt delays an unproven block if its source had a connection with this host a moment ago:
// the engine may not know the connection yet. After a time without probes, and so without a
// look, it delays the dark too. It never delays a fence, which cuts no connection and does not
// spare connected sources. It reports whether it has delayed the block. Settle decides.
func (b *blocker) doubt(w *blockWork) bool {
	late := time.Since(b.looked) > nft.PeerTime
	if w.Response == engine.Fence || w.Response != engine.Block && !late || w.event.Proven || w.commanded ||
		w.maker.Ordered() ||
		!w.doubted.IsZero() || !b.config.Ignore.Connected {
		return false
	}
	if w.Source.IsSingleIP() && !late {
		connected, err := b.table.Connected(w.Source.Addr())
		if err != nil {
			b.journal.Notice("", "%v", err)
		}
		if !connected && err == nil {
			return false
		}
	}
	if b.doubts(w) {
		return true // its packets still arrive
	}
	w.doubted = time.Now()
	b.doubted = append(b.doubted, w) // block.unproven_rate bounds them
	select {
	case b.orders.look <- struct{}{}:
	default: // a look is asked for already
	}
	return true
}

// doubts reports whether such a block is delayed.
func (b *blocker) doubts(w *blockWork) bool {
	return slices.ContainsFunc(b.doubted, func(x *blockWork) bool { return x.Ref == w.Ref })
}

// settle makes the delayed blocks, except those of connected peers. It also ends the blocks of
// such peers since the look before the last: connection tracking may not know their connections
// ("notrack").
func (b *blocker) settle(peers engine.Prefixes, looked time.Time) (err error) {
	b.looked = looked
	var blocks []*blockWork
	b.doubted = slices.DeleteFunc(b.doubted, func(w *blockWork) bool {
		switch {
		case w.doubted.After(looked):
			return false
		case b.book.Has(w.Ref): // a person has blocked it since
		case peers.Overlaps(w.Source):
			b.spare(w)
			b.lost(w.Ref)
		default:
			blocks = append(blocks, w)
		}
		return true
	})
	b.commit(blocks, nil)
	b.recent = slices.DeleteFunc(b.recent, func(p netip.Prefix) bool {
		e := b.book.Get(ledger.Ref{Response: engine.Block, Source: p})
		if e == nil || e.Maker.Ordered() || looked.Sub(e.Since) >= 2*lookEvery {
			return true
		}
		if err != nil || !peers.Overlaps(p) {
			return false
		}
		_, err = b.unblock(p, "this host has a connection with it, and the probes may be forged")
		return err == nil
	})
	if len(b.recent) > 0 {
		b.bells.peers.Ring()
	}
	return err
}

// spare drops the block of a connected peer. Its event is the one that the engine writes about
// peers it knows.
func (b *blocker) spare(w *blockWork) {
	ev := w.event
	ev.Event, ev.Action, ev.For = "ignore", engine.None.String(), 0
	ev.Reason, ev.Config = engine.IsConnected.String(), "ignore.connected = true"
	b.journal.Event(ev)
	if w.Source.IsSingleIP() {
		b.orders.release(w.Source.Addr())
	}
}
